import { expect, test } from "vitest";
import { durationFromProto, durationToProto } from "./duration.ts";

test.each([
  [0, { seconds: 0n, nanos: 0 }],
  [2_500, { seconds: 2n, nanos: 500_000_000 }],
  [0.25, { seconds: 0n, nanos: 250_000 }],
])("%d ms go over the wire and back", (ms, wire) => {
  expect(durationToProto(ms)).toEqual(wire);
  expect(durationFromProto(wire)).toBe(ms);
});

test("what rounds to a whole second is one", () => {
  expect(durationToProto(1_999.9999999)).toEqual({ seconds: 2n, nanos: 0 });
});

test("an absent duration stays absent", () => {
  expect(durationToProto(undefined)).toBeUndefined();
  expect(durationFromProto(undefined)).toBeUndefined();
});
