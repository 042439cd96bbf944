import { describe, expect, test } from "vitest";
import { type SpanSketch, START_US, sketch } from "./span.fixture.ts";
import { treeOf } from "./span-tree.ts";

const CALL = { id: "call", service: "api", kind: "client", at: 1_000, for: 10_000 } as const;

describe("a server's clock", () => {
  test("that agrees with its client's is left alone", () => {
    const times = timesOf([CALL, served(2_000, 8_000)]);

    expect(times["served"]).toEqual({ at: 2_000, skewUs: 0 });
  });

  test("that is ahead is put back to the middle of the call", () => {
    const times = timesOf([CALL, served(52_000, 8_000)]);

    expect(times["served"]).toEqual({ at: 2_000, skewUs: -50_000 });
  });

  test("that is behind is put forward, with all that is below, in its process and beyond", () => {
    const times = timesOf([
      CALL,
      served(-48_000, 8_000),
      { id: "work", parent: "served", at: -47_000, for: 6_000 },
      { id: "query", parent: "work", service: "postgres", at: -46_000, for: 1_000 },
    ]);

    expect(times["work"]).toEqual({ at: 3_000, skewUs: 50_000 });
    expect(times["query"]).toEqual({ at: 4_000, skewUs: 50_000 });
  });

  test("is the same in all its calls: the one that leaves the least room decides", () => {
    const times = timesOf([
      { id: "root", service: "api", at: 0, for: 100_000 },
      { ...CALL, parent: "root" },
      served(52_000, 8_000),
      { ...CALL, id: "long", parent: "root", at: 20_000, for: 80_000 },
      { ...served(75_000, 10_000), id: "served long", parent: "long" },
    ]);

    expect(times["served long"]).toEqual({ at: 25_000, skewUs: -50_000 });
  });

  test("is left alone when it only works longer than its client waits", () => {
    const times = timesOf([CALL, served(2_000, 60_000)]);

    expect(times["served"]).toEqual({ at: 2_000, skewUs: 0 });
  });

  test("is put at the start of the call when it works longer and began before", () => {
    const times = timesOf([CALL, served(-3_000, 60_000)]);

    expect(times["served"]).toEqual({ at: 1_000, skewUs: 4_000 });
  });
});

test("work that is resumed later in another process, without a call, is not shifted", () => {
  const times = timesOf([
    { id: "create", service: "api", instance: "one", at: 0, for: 5_000 },
    { id: "saga", parent: "create", service: "api", instance: "two", at: 90_000, for: 4_000 },
  ]);

  expect(times["saga"]).toEqual({ at: 90_000, skewUs: 0 });
});

test("a host's bid is put into its scheduler's, as the span of a call is", () => {
  const times = timesOf([
    { id: "bid", name: "scheduler.bid", service: "scheduler", at: 0, for: 2_000 },
    { id: "answer", parent: "bid", name: "hostd.bid", at: 40_500, for: 1_000 },
  ]);

  expect(times["answer"]).toEqual({ at: 500, skewUs: -40_000 });
});

test("spans of one process have one clock, though they call each other", () => {
  const times = timesOf([
    { ...CALL, service: "hostd" },
    { ...served(52_000, 8_000), instance: "x" },
    { ...CALL, id: "own", instance: "x" },
    { ...served(52_000, 8_000), id: "served own", parent: "own", instance: "x" },
  ]);

  expect(times["served own"]).toEqual({ at: 52_000, skewUs: 0 });
});

test("a call that comes back to the process it began in finds that process's clock as it was", () => {
  const times = timesOf([
    { ...CALL, for: 100_000 },
    { ...served(901_000, 80_000) },
    { id: "back", parent: "served", service: "hostd", kind: "client", at: 910_000, for: 50_000 },
    { id: "answered", parent: "back", service: "api", kind: "server", at: 12_000, for: 1_000 },
    { id: "below", parent: "answered", service: "api", at: 12_200, for: 500 },
  ]);

  expect(times["served"]?.skewUs).toBe(-890_000);
  expect(times["answered"]).toEqual({ at: 12_000, skewUs: 0 });
  expect(times["below"]).toEqual({ at: 12_200, skewUs: 0 });
});

function served(at: number, duration: number): SpanSketch {
  return { id: "served", parent: "call", service: "hostd", kind: "server", at, for: duration };
}

function timesOf(spans: readonly SpanSketch[]): Record<string, { at: number; skewUs: number }> {
  const { nodes } = treeOf(spans.map(sketch));
  return Object.fromEntries(
    nodes.map(({ span, startUs, skewUs }) => [span.span_id, { at: startUs - START_US, skewUs }]),
  );
}
