import { expect, test } from "vitest";
import type { Violation } from "../../lib/runtime/fault.ts";
import { type PlacementInput, validatePlacement } from "./placement.ts";

const NOTHING: PlacementInput = {
  hostLabels: {},
  hostNumber: undefined,
  strategy: "spread",
  distinctHosts: false,
};

test("one that asks for nothing is as good as none", () => {
  const problems: Violation[] = [];
  expect(validatePlacement(NOTHING, problems)).toBeUndefined();
  expect(problems).toEqual([]);
});

test("a constraint alone is kept", () => {
  const problems: Violation[] = [];
  expect(validatePlacement({ ...NOTHING, hostNumber: 0 }, problems)).toEqual({
    hostLabels: {},
    hostNumber: 0,
    strategy: "spread",
    distinctHosts: false,
  });
  expect(problems).toEqual([]);
});

test("everything that is wrong is said at once", () => {
  const problems: Violation[] = [];
  const hostLabels = { Disk: "nvme", gpu: "x".repeat(64) };
  validatePlacement({ ...NOTHING, hostLabels, hostNumber: -1, strategy: undefined }, problems);
  expect(problems.map(({ field }) => field)).toEqual([
    'placement.host_labels["Disk"]',
    'placement.host_labels["gpu"]',
    "placement.host_number",
    "placement.strategy",
  ]);
});
