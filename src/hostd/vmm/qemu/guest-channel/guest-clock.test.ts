import { describe, expect, test } from "vitest";
import { GuestClock } from "./guest-clock.ts";

const HOUR_US = 3_600e6;

describe("a guest's time on the host's clock", () => {
  test("lies between what messages there and back allow", () => {
    const clock = new GuestClock();

    clock.received(1_000, 51_400);
    clock.delivered(2_000, 51_600);

    // The difference is between 49 600 and 50 400.
    expect(clock.toHost(1_500, 0, 51_700)).toBeGreaterThan(51_400);
    expect(clock.toHost(1_500, 0, 51_700)).toBeLessThan(51_600);
  });

  test("may be off by half of what messages there and back leave open, if there were both", () => {
    const clock = new GuestClock();

    clock.received(1_000, 51_400);
    expect(clock.errorUs(51_400)).toBeUndefined();
    clock.delivered(2_000, 51_600);

    expect(clock.errorUs(51_600)).toBe(400);
  });

  test("follows the fastest message", () => {
    const clock = new GuestClock();

    clock.received(0, 5_000);
    clock.received(1_000, 1_100);
    clock.received(2_000, 9_000);

    expect(clock.toHost(3_000, 0, 10_000)).toBeCloseTo(3_100, -1);
  });

  test("follows a clock that drifts", () => {
    const clock = new GuestClock();
    for (let hour = 0; hour <= 24; hour++) clock.received(hour * HOUR_US, hour * HOUR_US * (1 + 20e-6) + 500);

    const lateBy = clock.toHost(24 * HOUR_US, 0, 30 * HOUR_US) - 24 * HOUR_US;

    expect(lateBy).toBeGreaterThan(24 * HOUR_US * 20e-6);
    expect(lateBy).toBeLessThan(24 * HOUR_US * 20e-6 + HOUR_US * 1e-3 * 7);
  });

  test("stays within what is possible, whatever the guest says", () => {
    const clock = new GuestClock();
    clock.received(1_000, 5_000);
    clock.delivered(Number.MAX_SAFE_INTEGER, 5_500);

    expect(clock.toHost(Number.MAX_SAFE_INTEGER, 4_000, 6_000)).toBe(6_000);
    expect(clock.toHost(0, 4_500, 6_000)).toBe(4_500);
  });
});
