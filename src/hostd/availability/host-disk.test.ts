import { describe, expect, test } from "vitest";
import { isShort, reserveOf, roundedSpace } from "./host-disk.ts";

const MB = 2 ** 20;
const GB = 2 ** 30;

describe("the reserve of a disk", () => {
  test.each([
    ["a twentieth of a small one", 4 * GB, GB / 5],
    ["a gigabyte of a large one", 500 * GB, GB],
  ])("is %s", (_what, size, reserve) => {
    expect(reserveOf({ size, free: 0 })).toBeCloseTo(reserve);
    expect(isShort({ size, free: Math.ceil(reserve) })).toBe(false);
    expect(isShort({ size, free: Math.floor(reserve) - 1 })).toBe(true);
  });

  test("is not checked while the size is unknown", () => {
    expect(isShort(undefined)).toBe(false);
  });
});

describe("the rounded size of a disk", () => {
  test("changes in steps of about 3 %", () => {
    const shown = [75_000, 74_999, 74_000, 73_000, 71_000].map(
      (freeMb) => roundedSpace({ size: 250 * GB, free: freeMb * MB }).freeMb,
    );

    expect(shown).toEqual([73_728, 73_728, 73_728, 69_632, 69_632]);
  });

  test.each([
    ["full", 0],
    ["a byte short", GB - 1],
    ["just not short", GB],
    ["not short", 1.4 * GB],
    ["empty", 500 * GB],
  ])("is below the reserve if and only if the disk is short: %s", (_what, free) => {
    const space = { size: 500 * GB, free };
    const { freeMb, reserveMb } = roundedSpace(space);

    expect(freeMb < reserveMb).toBe(isShort(space));
    expect(freeMb).toBeLessThanOrEqual(free / MB);
    expect(freeMb).toBeGreaterThanOrEqual(0);
  });

  test("works for a disk of a few megabytes", () => {
    const size = 2 * MB;

    expect(roundedSpace({ size, free: 0.05 * MB })).toEqual({ freeMb: 0, reserveMb: 1 });
    expect(roundedSpace({ size, free: 0.5 * MB })).toEqual({ freeMb: 1, reserveMb: 1 });
  });
});
