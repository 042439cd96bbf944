import { describe, expect, test } from "vitest";
import { commandLine } from "./machine/config/command-line.ts";
import { amountMb, duration, pair, signalName, words } from "./values.ts";

describe("flags", () => {
  test("NAME=VALUE is collected; the value may be empty and contain =", () => {
    expect(pair("B==x=", pair("A="))).toEqual({ A: "", B: "=x=" });
    expect(() => pair("=x")).toThrow('Write NAME=VALUE, not "=x".');
  });

  test.each([
    ["512", 512],
    ["512mb", 512],
    ["512MiB", 512],
    ["1gb", 1_024],
    ["2G", 2_048],
    ["2tb", 2_097_152],
  ])("%s of memory is %i MB", (raw, mb) => {
    expect(amountMb(raw)).toBe(mb);
  });

  test.each([
    ["30", 30_000],
    ["500ms", 500],
    ["1.5s", 1_500],
    ["5m", 300_000],
    ["7d", 604_800_000],
  ])("a time of %s is %i ms", (raw, ms) => {
    expect(duration(raw)).toBe(ms);
  });

  test.each(["", "s", "5 s", "-5s", "1y", "1e3"])("%j is no time", (raw) => {
    expect(() => duration(raw)).toThrow(/Write a length of time/);
  });

  test("words come with commas or one by one", () => {
    expect(words("c", words("a, b,"))).toEqual(["a", "b", "c"]);
  });

  test.each(["term", "TERM", "SIGTERM", "sigterm"])("%s is SIGTERM", (raw) => {
    expect(signalName(raw)).toBe("SIGTERM");
  });
});

describe("an entrypoint is split as a shell does", () => {
  test.each([
    ["/bin/sh -c 'echo \"a b\"'", ["/bin/sh", "-c", 'echo "a b"']],
    ['a"b c"d "" e\\ f', ["ab cd", "", "e f"]],
    ['"a\\"b\\n"', ['a"b\\n']],
    ["  ", []],
    ["$HOME *", ["$HOME", "*"]],
  ])("%j", (line, expected) => {
    expect(commandLine(line)).toEqual(expected);
  });

  test("a quote that is not closed is an error", () => {
    expect(() => commandLine("a 'b")).toThrow("A quote (') is not closed in: a 'b");
  });
});
