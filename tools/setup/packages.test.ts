import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isDynamic, SYSTEM_PACKAGES } from "./packages.ts";

test("recognises programs that need a dynamic loader", () => {
  expect(isDynamic(readFileSync("/bin/sh"))).toBe(true);

  const elf = readFileSync("/bin/sh").subarray(0, 4096);
  const withoutSegments = Buffer.from(elf);
  withoutSegments.writeUInt16LE(0, 56);
  expect(isDynamic(withoutSegments)).toBe(false);
});

test("every package is named once, with a reason", () => {
  const names = SYSTEM_PACKAGES.map((each) => each.name);

  expect(new Set(names).size).toBe(names.length);
  expect(SYSTEM_PACKAGES.filter((each) => each.reason === "")).toEqual([]);
});
