import { expect, test } from "vitest";
import { pathOf } from "./critical-path.ts";
import { type SpanSketch, START_US, sketch } from "./span.fixture.ts";
import { treeOf } from "./span-tree.ts";

const call = (attributes: Record<string, number | string>): SpanSketch => ({
  ...{ id: "call", kind: "server", at: 0, for: 100, attributes },
});
const HANDLED = { "windhover.handler.began_us": 20, "windhover.handler.done_us": 90 };

/** The critical path of the call, with times from its start. */
function path(...sketches: SpanSketch[]): [string, number, number][] {
  const tree = treeOf(sketches.map(sketch));
  const top = tree.byId.get("call");
  if (!top) throw new Error("the call is not there");
  return pathOf(top, tree).map(({ node, startUs, endUs }) => [
    node.span.name,
    startUs - START_US,
    endUs - START_US,
  ]);
}

test("what a call has before and behind its handler is drawn", () => {
  expect(path(call(HANDLED), { id: "work", parent: "call", at: 21, for: 60 })).toEqual([
    ["rpc.receive", 0, 20],
    ["call", 20, 21],
    ["work", 21, 81],
    ["call", 81, 90],
    ["rpc.send", 90, 100],
  ]);
});

test("what a child had of the time before the handler is the child's", () => {
  expect(path(call(HANDLED), { id: "turn", parent: "call", at: 5, for: 10 })).toEqual([
    ["rpc.receive", 0, 5],
    ["turn", 5, 15],
    ["rpc.receive", 15, 20],
    ["call", 20, 90],
    ["rpc.send", 90, 100],
  ]);
});

test("a call that ended before its handler did has only the time before", () => {
  expect(path(call({ "windhover.handler.began_us": 20 }))).toEqual([
    ["rpc.receive", 0, 20],
    ["call", 20, 100],
  ]);
});

test("a handler that took the whole call leaves nothing to draw", () => {
  const whole = { "windhover.handler.began_us": 0, "windhover.handler.done_us": 100 };

  expect(path(call(whole))).toEqual([["call", 0, 100]]);
});

test.each([-1, 101, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "20"])("an offset of %s is none", (offset) => {
  expect(path(call({ "windhover.handler.began_us": offset, "windhover.handler.done_us": offset }))).toEqual([
    ["call", 0, 100],
  ]);
});

test("only calls that are served have such parts, with the clock of their process", () => {
  const client: SpanSketch = {
    id: "call",
    kind: "client",
    at: 0,
    for: 200,
    service: "api",
    attributes: HANDLED,
  };
  const server: SpanSketch = {
    ...{ id: "server", parent: "call", kind: "server", at: 1_000_050, for: 100, attributes: HANDLED },
    service: "hostd",
  };

  expect(path(client, server)).toEqual([
    ["call", 0, 50],
    ["rpc.receive", 50, 70],
    ["server", 70, 140],
    ["rpc.send", 140, 150],
    ["call", 150, 200],
  ]);
});
