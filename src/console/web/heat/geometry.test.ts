import { afterEach, expect, test, vi } from "vitest";
import { timeTicks } from "./geometry.ts";

afterEach(() => vi.unstubAllEnvs());

const HOUR = 3_600_000;

test.each([
  ["begins", Date.UTC(2026, 2, 28, 3)],
  ["ends", Date.UTC(2026, 9, 24, 3)],
])("ticks of days and of hours are round by the local clock, also when summer time %s", (_what, fromMs) => {
  vi.stubEnv("TZ", "Europe/Berlin");

  const days = timeTicks(fromMs, fromMs + 72 * HOUR, 4);
  const hours = timeTicks(fromMs, fromMs + 36 * HOUR, 12);

  expect(days.map((at) => new Date(at).getHours())).toEqual(days.map(() => 0));
  expect(days).toHaveLength(3);
  expect(hours.map((at) => new Date(at).getHours() % 3)).toEqual(hours.map(() => 0));
  expect(hours).toEqual([...new Set(hours)].toSorted((a, b) => a - b));
});

test("ticks of minutes lie within the period, at equal distances", () => {
  const ticks = timeTicks(1_000_000_007, 1_000_000_007 + HOUR, 8);

  expect(ticks.length).toBeGreaterThan(4);
  expect(new Set(ticks.slice(1).map((at, i) => at - (ticks[i] ?? 0))).size).toBe(1);
  expect(ticks.every((at) => at >= 1_000_000_007 && at < 1_000_000_007 + HOUR)).toBe(true);
});
