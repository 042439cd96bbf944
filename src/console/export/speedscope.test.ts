import { expect, test } from "vitest";
import type { Span } from "../../lib/latency/span.ts";
import { speedscopeOf } from "./speedscope.ts";

interface File {
  readonly shared: { readonly frames: readonly { readonly name: string }[] };
  readonly profiles: readonly {
    readonly endValue: number;
    readonly samples: readonly (readonly number[])[];
    readonly weights: readonly number[];
  }[];
}

function span(id: string, parent: string | undefined, at: number, us: number): Span {
  return {
    ...{ trace_id: "a".repeat(32), span_id: id, ...(parent === undefined ? {} : { parent_span_id: parent }) },
    ...{ name: id, service: "hostd", kind: "internal", start_us: 1_000 + at, duration_us: us },
    ...{ status: "unset", attributes: {} },
  };
}

function read(spans: readonly Span[], spanId: string) {
  // Its shape is what this file tests.
  const { shared, profiles } = speedscopeOf([{ name: "start", spanId, spans }]) as File;
  const [profile] = profiles;
  return {
    total: profile?.weights.reduce((sum, each) => sum + each, 0),
    end: profile?.endValue,
    stacks: profile?.samples.map((stack) => stack.map((frame) => shared.frames[frame]?.name).join(" > ")),
    deepest: Math.max(...(profile?.samples.map(({ length }) => length) ?? [])),
  };
}

test("stacks begin with the operation, whatever is above it and whatever has lost its parent", () => {
  const found = read(
    [
      span("root", undefined, 0, 1_000),
      span("op", "root", 100, 100),
      span("a", "op", 100, 40),
      span("b", "a", 110, 10),
      span("orphan", "lost", 150, 50),
    ],
    "op",
  );

  expect(found).toMatchObject({ total: 100, end: 100 });
  expect(found.stacks).toEqual([
    "op (hostd) > a (hostd)",
    "op (hostd) > a (hostd) > b (hostd)",
    "op (hostd) > a (hostd)",
    "op (hostd)",
    "op (hostd) > orphan (hostd)",
  ]);
});

test("a chain of 5,000 spans has stacks of a bounded depth, and loses no time", () => {
  const chain = Array.from({ length: 5_000 }, (_, i) =>
    span(`s${i}`, i === 0 ? undefined : `s${i - 1}`, i, 10_000 - i),
  );

  expect(read(chain, "s0")).toMatchObject({ total: 10_000, end: 10_000, deepest: 64 });
});
