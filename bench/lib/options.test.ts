import { expect, test } from "vitest";
import { benchOptions } from "./options.ts";

test("runs have a default and can be set", () => {
  expect(benchOptions([], 200)).toEqual({ runs: 200, readme: false, only: [] });
  expect(benchOptions(["--runs", "12", "--readme"], 200)).toEqual({ runs: 12, readme: true, only: [] });
});

test("a benchmark with parts measures all of them, or those it is told", () => {
  expect(benchOptions([], 1, ["a", "b"]).only).toEqual(["a", "b"]);
  expect(benchOptions(["--only", "b"], 1, ["a", "b"]).only).toEqual(["b"]);
  expect(() => benchOptions(["--only", "b,c"], 1, ["a", "b"])).toThrow(/not c/);
});

test.each([["--runs", "0"], ["--runs", "many"], ["--runs", "1.5"], ["--run", "3"], ["--only", "a"], ["3"]])(
  "%s %s is refused with what is known",
  (...args) => {
    expect(() => benchOptions(args, 200)).toThrow(/--runs/);
  },
);
