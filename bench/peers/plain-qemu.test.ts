import { expect, test } from "vitest";
import { pickOptions } from "./plain-qemu.ts";

const ARGS = [
  "qemu-system-x86_64",
  "-name",
  "vm",
  "-machine",
  "q35,memory-backend=ram,smm=off",
  "-accel",
  "tcg",
];
const REST = ["-cpu", "max", "-smp", "1", "-m", "256", "-append", "quiet nokaslr"];

test("the options of a running VM are taken over, but for what names other parts of it", () => {
  expect(pickOptions([...ARGS, ...REST])).toEqual([
    ["-machine", "q35,smm=off"],
    ["-accel", "tcg"],
    ["-cpu", "max"],
    ["-smp", "1"],
    ["-m", "256"],
    ["-append", "quiet nokaslr"],
  ]);
});

test("a VM that lacks one is no model", () => {
  expect(() => pickOptions(ARGS)).toThrow("without -cpu");
});
