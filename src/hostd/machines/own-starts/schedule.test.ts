import fc from "fast-check";
import { expect, test } from "vitest";
import { nextScheduled } from "./schedule.ts";

const at = (text: string): number => Date.parse(text);

test.each([
  ["hourly", "2026-01-31T10:20:30Z", "2026-01-31T10:20:30Z", "2026-01-31T11:20:30Z"],
  ["hourly", "2026-01-31T10:20:30Z", "2026-02-01T00:00:00Z", "2026-02-01T00:20:30Z"],
  ["daily", "2026-01-31T10:20:30Z", "2026-02-03T10:20:30Z", "2026-02-04T10:20:30Z"],
  ["weekly", "2026-01-31T10:20:30Z", "2026-02-01T00:00:00Z", "2026-02-07T10:20:30Z"],
  ["monthly", "2026-01-31T10:20:30Z", "2026-01-31T10:20:30Z", "2026-02-28T10:20:30Z"],
  ["monthly", "2026-01-31T10:20:30Z", "2026-02-28T10:20:30Z", "2026-03-31T10:20:30Z"],
  ["monthly", "2026-01-31T10:20:30Z", "2028-02-01T00:00:00Z", "2028-02-29T10:20:30Z"],
  ["monthly", "2025-11-15T00:00:00Z", "2025-12-20T00:00:00Z", "2026-01-15T00:00:00Z"],
])("%s from %s, the next start after %s is %s", (schedule, created, after, expected) => {
  const next = nextScheduled(schedule, at(created), at(after));

  expect(new Date(next ?? 0).toISOString()).toBe(new Date(expected).toISOString());
});

test("without a schedule there is none", () => {
  expect(nextScheduled(undefined, 0, 0)).toBeUndefined();
  expect(nextScheduled("", 0, 0)).toBeUndefined();
});

test("the next start is later than now, and the same whenever one asks before it", () => {
  const time = fc.integer({ min: 0, max: at("2060-01-01T00:00:00Z") });
  const schedule = fc.constantFrom("hourly", "daily", "weekly", "monthly");
  fc.assert(
    fc.property(schedule, time, time, (name, createdAtMs, later) => {
      const afterMs = createdAtMs + later;
      const next = nextScheduled(name, createdAtMs, afterMs) ?? 0;

      expect(next).toBeGreaterThan(afterMs);
      expect(nextScheduled(name, createdAtMs, next - 1)).toBe(next);
    }),
  );
});
