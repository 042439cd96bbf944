import { expect, test } from "vitest";
import { growth } from "./growth.ts";

test("every series has a panel with a point for each size, and the largest value is at the top", () => {
  const svg = growth(
    "a < b",
    [10, 100, 1_000],
    [
      { title: "memory", unit: "MB", values: [1, 2, 4] },
      { title: "messages", unit: "", values: [0, 0, 0] },
    ],
  );

  expect(svg).toContain("a &#60; b");
  expect(svg.match(/<circle/g)).toHaveLength(6);
  expect(svg).toContain("memory (MB)");
  expect(svg).toContain('points="16,113 133,90 250,44"');
  expect(svg).not.toContain("NaN");
});
