import { describe, expect, test } from "vitest";
import { affordable, BURST_MS, wantedVms } from "./pool-policy.ts";

const small = { cpus: 1, memoryMb: 256 };
const large = { cpus: 2, memoryMb: 1_024 };

describe("warm VMs are wanted", () => {
  test("by every machine that could be started, by shape", () => {
    expect(wantedVms([large, small, small], [])).toEqual([
      { shape: small, count: 2 },
      { shape: large, count: 1 },
    ]);
  });

  test("for a burst as large as the largest of late, not for all starts together", () => {
    const starts = [0, 1_000, 2_000, 60_000, 60_000 + BURST_MS].map((atMs) => ({ shape: small, atMs }));

    expect(wantedVms([], starts)).toEqual([{ shape: small, count: 3 }]);
  });

  test("once, when a machine and a start want the same", () => {
    expect(wantedVms([small], [{ shape: small, atMs: 5 }])).toEqual([{ shape: small, count: 1 }]);
  });

  test("by nobody on a host without machines", () => {
    expect(wantedVms([], [])).toEqual([]);
  });
});

describe("memory is divided", () => {
  const wanted = [
    { shape: small, count: 8 },
    { shape: large, count: 2 },
  ];

  test("so that every shape has one before any has two", () => {
    expect(affordable(wanted, 1_280)).toEqual([
      { shape: small, count: 1 },
      { shape: large, count: 1 },
    ]);
  });

  test("and what a large one cannot use, small ones do", () => {
    expect(affordable(wanted, 2_000)).toEqual([
      { shape: small, count: 3 },
      { shape: large, count: 1 },
    ]);
  });

  test("and no further than what is wanted, or there is", () => {
    expect(affordable(wanted, 1_000_000)).toEqual(wanted);
    expect(affordable(wanted, 255)).toEqual([]);
  });
});
