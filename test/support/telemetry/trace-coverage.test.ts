import { expect, test } from "vitest";
import { sketch } from "../../../src/lib/latency/analysis/span.fixture.ts";
import type { Span } from "../../../src/lib/latency/span.ts";
import { coverageBelow } from "./trace-coverage.ts";

test("time counts once, within the span above only, and however deep below it is spent", () => {
  const top = span("top", undefined, 0, 100);
  const spans = [
    span("deep", "child", 70, 90),
    top,
    span("child", "top", 10, 50),
    span("beside", "top", 40, 60),
    span("beyond", "top", 95, 130),
    span("stranger", undefined, 0, 100),
  ];

  // 10 to 60, 70 to 90, 95 to 100.
  expect(coverageBelow(top, spans)).toBeCloseTo(0.75);
  expect(coverageBelow(spans[0] ?? top, spans)).toBe(0);
});

function span(id: string, parent: string | undefined, from: number, to: number): Span {
  return sketch({ id, at: from, for: to - from, ...(parent !== undefined && { parent }) });
}
