import { expect, test } from "vitest";
import { signalName, signalNumber } from "./signals.ts";

test.each([
  ["SIGTERM", 15],
  ["TERM", 15],
  ["SIGKILL", 9],
  ["10", 10],
  ["64", 64],
])("%s is signal %i", (name, number) => {
  expect(signalNumber(name)).toBe(number);
});

test.each(["SIGNONE", "", "0", "65", "-9"])("%j is no signal", (name) => {
  expect(signalNumber(name)).toBeUndefined();
});

test("a number has its usual name, and a real-time signal its number", () => {
  expect([6, 9, 15, 29].map(signalName)).toEqual(["SIGABRT", "SIGKILL", "SIGTERM", "SIGIO"]);
  expect(signalName(40)).toBe("SIG40");
});
