import { expect, test } from "vitest";
import { simOptions } from "./options.ts";

test.each([
  [[], { seed: undefined, seeds: 1_000, from: 1 }],
  [["--seeds", "10000", "--from", "5"], { seed: undefined, seeds: 10_000, from: 5 }],
  [["--seed=0"], { seed: 0, seeds: 1_000, from: 1 }],
])("%j is understood", (args, options) => {
  expect(simOptions(args)).toEqual(options);
});

test.each([
  [["--seeds", "0"], /--seeds takes a whole number from 1 on; it is "0"/],
  [["--seed", "x"], /--seed takes a whole number/],
  [["--seed", "1", "--from", "2"], /--seed is one seed/],
  [["--fast"], /Unknown option '--fast'/],
  [["7"], /Unexpected argument '7'/],
])("%j is refused, and how it is used is said", (args, message) => {
  expect(() => simOptions(args)).toThrow(message);
  expect(() => simOptions(args)).toThrow("npm run sim -- --seed N");
});
