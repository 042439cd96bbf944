import { expect, it } from "vitest";
import { cpuMs, parseStat } from "./cpu.ts";

it("adds up user and system time, whatever the process is called", () => {
  const stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 7 8 20 0 1 0 100 1000 10";

  expect(parseStat(stat)).toBe(3_000);
});

it("grows while a process works", () => {
  const before = cpuMs(process.pid);

  expect(before).toBeGreaterThan(0);
  for (
    const until = performance.now() + 15_000;
    performance.now() < until && cpuMs(process.pid) === before;
  );
  expect(cpuMs(process.pid)).toBeGreaterThan(before);
});
