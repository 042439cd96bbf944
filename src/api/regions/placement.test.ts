import { expect, test } from "vitest";
import { Violations } from "../../lib/faults/violations.ts";
import { type PlacementInput, validatePlacement } from "./placement.ts";

const NOTHING: PlacementInput = {
  hostLabels: {},
  hostNumber: undefined,
  strategy: "spread",
  distinctHosts: false,
};

test("one that asks for nothing is as good as none", () => {
  const violations = new Violations();
  expect(validatePlacement(NOTHING, violations)).toBeUndefined();
  expect(violations.all).toEqual([]);
});

test("a constraint alone is kept", () => {
  const violations = new Violations();
  expect(validatePlacement({ ...NOTHING, hostNumber: 0 }, violations)).toEqual({
    hostLabels: {},
    hostNumber: 0,
    strategy: "spread",
    distinctHosts: false,
  });
  expect(violations.all).toEqual([]);
});

test("everything that is wrong is said at once", () => {
  const violations = new Violations();
  const hostLabels = { Disk: "nvme", gpu: "x".repeat(64), zone: "a\0" };
  validatePlacement({ ...NOTHING, hostLabels, hostNumber: -1, strategy: undefined }, violations);
  expect(violations.all.map(({ field }) => field)).toEqual([
    'placement.host_labels["Disk"]',
    'placement.host_labels["gpu"]',
    'placement.host_labels["zone"]',
    "placement.host_number",
    "placement.strategy",
  ]);
});
