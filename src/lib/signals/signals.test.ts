import { expect, test } from "vitest";
import { signalName, signalNumber } from "./signals.ts";

test.each([
  ["SIGTERM", 15],
  ["TERM", 15],
  ["term", 15],
  ["SigQuit", 3],
  ["SIGKILL", 9],
  ["SIGCLD", 17],
  ["10", 10],
  ["64", 64],
  ["SIGRTMIN", 34],
  ["SIGRTMIN+3", 37],
  ["rtmin+30", 64],
  ["RTMAX", 64],
  ["SIGRTMAX-1", 63],
  ["SIGRTMAX-30", 34],
])("%s is signal %i", (name, number) => {
  expect(signalNumber(name)).toBe(number);
});

test.each([
  ...["SIGNONE", "", "SIG", "0", "65", "-9", "+9", "1.5", "0x9", " 15", "SIGRTMIN+31", "SIGRTMAX-31"],
  ...["SIGRTMIN-1", "SIGRTMAX+1", "SIGRTMIN+", "SIGRTMIN+3x", "SIGSIGTERM", "__proto__", "constructor"],
])("%j is no signal", (name) => {
  expect(signalNumber(name)).toBeUndefined();
});

test("every signal's name is one that means it", () => {
  const numbers = Array.from({ length: 64 }, (_, index) => index + 1).filter((n) => n !== 32 && n !== 33);
  expect(numbers.map((n) => signalNumber(signalName(n)))).toEqual(numbers);
});

test("a number has its usual name", () => {
  expect([6, 9, 15, 29].map(signalName)).toEqual(["SIGABRT", "SIGKILL", "SIGTERM", "SIGIO"]);
  expect([33, 34, 37, 64].map(signalName)).toEqual(["SIG33", "SIGRTMIN", "SIGRTMIN+3", "SIGRTMAX"]);
});
