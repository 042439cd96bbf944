import { describe, expect, test } from "vitest";
import { bytes, change, duration, probability, relativeChange, share } from "./format.ts";
import { readDuration, readInstant } from "./time.ts";

test.each([
  [0, "0 µs"],
  [820, "820 µs"],
  [999.6, "1.00 ms"],
  [4_120, "4.12 ms"],
  [9_996, "10.0 ms"],
  [48_340, "48.3 ms"],
  [312_000, "312 ms"],
  [999_600, "1.00 s"],
  [1_240_000, "1.24 s"],
  [123_000_000, "2 min 3 s"],
  [3_660_000_000, "1 h 1 min"],
  [-1_500, "−1.50 ms"],
  [-0.2, "0 µs"],
])("%d µs are %s", (us, text) => {
  expect(duration(us)).toBe(text);
});

describe("shares", () => {
  test("are 0 % and 100 % only when they are", () => {
    expect([0, 0.00001, 0.5, 0.99996, 1].map(share)).toEqual(["0 %", "<0.1 %", "50.0 %", "99.99 %", "100 %"]);
  });

  test("of a change have a sign, and are factors when they are large", () => {
    expect([0.12, -0.03, 0.001, 24].map(relativeChange)).toEqual(["+12 %", "−3 %", "0 %", "×25.0"]);
  });
});

test("changes, bytes and probabilities", () => {
  expect([change(5), change(-5), change(0)]).toEqual(["+5 µs", "−5 µs", "0 µs"]);
  expect([bytes(12), bytes(2_048), bytes(5_000_000)]).toEqual(["12 B", "2.00 KiB", "4.77 MiB"]);
  expect([probability(0.0001), probability(0.034), probability(0.5)]).toEqual([
    "p < 0.001",
    "p = 0.034",
    "p = 0.50",
  ]);
});

test.each([
  ["2026-01-31T12:00:00Z", Date.UTC(2026, 0, 31, 12)],
  ["2026-01-31T12:00:00+02:00", Date.UTC(2026, 0, 31, 10)],
  ["1700000000000", 1_700_000_000_000],
  ["9999999999999999", undefined],
  ["99999-01-01T00:00:00Z", undefined],
  ["1h", undefined],
  ["", undefined],
  ["2026-02-", undefined],
])("the instant %j is %s", (text, ms) => {
  expect(readInstant(text)).toBe(ms);
});

test.each([
  ["15m", 900_000],
  ["1.5h", 5_400_000],
  ["300ms", 300],
  ["7d", 604_800_000],
  ["1w", undefined],
  ["-1h", undefined],
])("the duration %j is %s", (text, ms) => {
  expect(readDuration(text)).toBe(ms);
});
