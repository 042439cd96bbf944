import { expect, test } from "vitest";
import { benchOptions, scaled } from "./options.ts";

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

test("slow things are measured less often, but often enough, and never more often than asked for", () => {
  expect(scaled(400, 10, 10)).toBe(40);
  expect(scaled(50, 10, 10)).toBe(10);
  expect(scaled(3, 10, 10)).toBe(3);
});
