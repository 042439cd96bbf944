import { expect, test } from "vitest";
import { sketch } from "../../../src/lib/latency/analysis/span.fixture.ts";
import { breakdownTable, meanSelfTimes, startTimes } from "./breakdown.ts";

/**
 * Client 0 to 100 ms, hostd.start 10 to 90, hostd.acquire 20 to 80 (or `vmmMs` long); `more` below
 * it; all times in ms.
 */
function start(vmmMs = 60, more: readonly string[] = []) {
  const span = (id: string, parent: string | undefined, name: string, startMs: number, ms: number) => {
    const of = { id, name, service: name.split(".")[0] ?? "", at: startMs * 1_000, for: ms * 1_000 };
    return sketch(parent === undefined ? of : { ...of, parent });
  };
  return [
    span("a", undefined, "client.call", 0, vmmMs + 40),
    span("b", "a", "hostd.start", 10, vmmMs + 20),
    span("c", "b", "hostd.acquire", 20, vmmMs),
    ...more.map((name) => span(name, "c", name, 20, 5)),
  ];
}

test("a start splits into before, in and after the VMM", () => {
  expect(startTimes(start())).toEqual({
    beforeVmmMs: 20,
    vmmMs: 60,
    watchMs: 0,
    afterVmmMs: 20,
    coverage: 0.8,
  });
});

test("the start watch is neither the VMM's nor after it", () => {
  expect(startTimes(start(60, ["hostd.watch"]))).toMatchObject({ vmmMs: 60, watchMs: 5, afterVmmMs: 15 });
});

test("a trace without the span of the VMM has no times", () => {
  expect(startTimes(start().slice(0, 2))).toBeUndefined();
  expect(startTimes([])).toBeUndefined();
});

test("self times are means over all traces, in the order of events", () => {
  expect(meanSelfTimes([start(60), start(80)])).toEqual([
    { service: "client", span: "client.call", selfMs: 20 },
    { service: "hostd", span: "hostd.start", selfMs: 20 },
    { service: "hostd", span: "hostd.acquire", selfMs: 70 },
  ]);
});

test("a hop that only one kind of start has is blank for the other", () => {
  const lines = breakdownTable([
    { name: "warm", traces: [start(60)] },
    { name: "cold", traces: [start(600).slice(0, 2)] },
  ]);
  expect(lines.find((line) => line.startsWith("hostd.acquire"))).toMatch(/hostd\s+60\.0$/);
  expect(lines.at(-1)).toMatch(/^all\s+100\s+640$/);
});
