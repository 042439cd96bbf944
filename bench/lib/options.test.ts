import { expect, test } from "vitest";
import { benchOptions } from "./options.ts";

test("runs have a default and can be set", () => {
  expect(benchOptions([], 200)).toEqual({ runs: 200, readme: false });
  expect(benchOptions(["--runs", "12", "--readme"], 200)).toEqual({ runs: 12, readme: true });
});

test.each([["--runs", "0"], ["--runs", "many"], ["--runs", "1.5"], ["--run", "3"], ["3"]])(
  "%s %s is refused with what is known",
  (...args) => {
    expect(() => benchOptions(args, 200)).toThrow(/--runs/);
  },
);
