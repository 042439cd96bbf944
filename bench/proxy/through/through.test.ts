import { expect, test } from "vitest";
import { rotated } from "./through.ts";

test("each item comes first in turn, and the order stays", () => {
  const items = ["direct", "nginx", "proxy"];

  expect([0, 1, 2, 3].map((first) => rotated(items, first).join(" "))).toEqual([
    "direct nginx proxy",
    "nginx proxy direct",
    "proxy direct nginx",
    "direct nginx proxy",
  ]);
  expect(rotated([], 5)).toEqual([]);
});
