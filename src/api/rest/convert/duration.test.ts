import fc from "fast-check";
import { expect, test } from "vitest";
import { formatDuration, isSameDuration, parseDuration } from "./duration.ts";

test.each([
  ["300ms", 300],
  ["1m30s", 90_000],
  ["1.5h", 5_400_000],
  [".5s", 500],
  ["2h45m0.5s", 9_900_500],
  ["0", 0],
  ["-1s", -1_000],
  ["10µs", 0.01],
])("%s is %d ms", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each([
  ["10", 'time: missing unit in duration "10"'],
  ["", 'time: invalid duration ""'],
  ["abc", 'time: invalid duration "abc"'],
  ["1d", 'time: unknown unit "d" in duration "1d"'],
  ["1 s", 'time: unknown unit " s" in duration "1 s"'],
  ["99999999999h", 'time: invalid duration "99999999999h"'],
])("%j is refused with the text of Go's parser", (text, message) => {
  expect(() => parseDuration(text)).toThrow(new Error(message));
});

test("a text of a megabyte is refused in a short message", () => {
  const refuse = () => parseDuration("1s".repeat(500_000));

  expect(refuse).toThrow(new Error(`time: invalid duration "${"1s".repeat(32)}"`));
});

test.each([
  [0, "0s"],
  [300, "300ms"],
  [1_500, "1.5s"],
  [90_000, "1m30s"],
  [3_600_000, "1h0m0s"],
  [0.0005, "500ns"],
  [0.25, "250µs"],
  [60_000.000001, "1m0.000000001s"],
  [20_000, "20s"],
])("%d ms are written as %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test("what is written is read as it was", () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e9, max: 1e9 }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toBe(ms);
    }),
  );
});

test("two spellings of a duration are the same, two texts are not", () => {
  expect(isSameDuration("90s", "1m30s")).toBe(true);
  expect(isSameDuration("90s", "91s")).toBe(false);
  expect(isSameDuration("web", "web")).toBe(false);
});
