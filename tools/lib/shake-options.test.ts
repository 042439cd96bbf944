import { expect, test } from "vitest";
import { shakeOptions } from "./shake-options.ts";

test("one round in a random order, unless options say otherwise", () => {
  expect(shakeOptions([])).toEqual({ times: 1, seed: undefined });
  expect(shakeOptions(["--times", "10"])).toEqual({ times: 10, seed: undefined });
  expect(shakeOptions(["--seed=7"])).toEqual({ times: 1, seed: 7 });
  expect(shakeOptions(["--seed", "0", "--times", "3"])).toEqual({ times: 3, seed: 0 });
});

test.each([["--times", "0"], ["--times", "many"], ["--seed", "-1"], ["--rounds", "3"], ["3"]])(
  "%s %s is refused, and the usage is shown",
  (...args) => {
    expect(() => shakeOptions(args)).toThrow(/npm run test:shake -- --times 10/);
  },
);
