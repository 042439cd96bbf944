import { expect } from "vitest";
import { type Interval, overlap, union } from "../../../src/cli/commands/trace/intervals.ts";
import { isComplete, parentIn, type Trace, type TraceSpan } from "../../../src/cli/commands/trace/spans.ts";
import type { TestFleet } from "../fleet.ts";

const ARRIVAL = { timeout: 40_000, interval: 100 };
/** Services send what they have every 300 ms: after twice that, what is not there does not come. */
const QUIET_MS = 700;
const TIMEOUT_MS = 5_000;

/** All spans of a trace, once they have arrived. */
export async function traceOf(fleet: TestFleet, traceId: string): Promise<readonly TraceSpan[]> {
  let spans: readonly TraceSpan[] = [];
  await expect
    .poll(async () => {
      const found = await find(fleet, traceId);
      spans = found?.spans ?? [];
      return found !== undefined && found.trace.idle_ms >= QUIET_MS && isComplete(spans);
    }, ARRIVAL)
    .toBe(true);
  return spans;
}

/** The share of a span's time, 0 to 1, in which at least one span below it ran. */
export function coverageBelow(top: TraceSpan, spans: readonly TraceSpan[]): number {
  const below = new Set([top.span_id]);
  // A parent may come after its child in the list, so until nothing is added.
  for (let size = 0; size !== below.size; ) {
    size = below.size;
    for (const span of spans) {
      const parent = parentIn(span, below);
      if (parent !== undefined) below.add(span.span_id);
    }
  }
  const intervals = spans.filter((span) => span !== top && below.has(span.span_id)).map(intervalOf);
  return top.duration_us === 0 ? 0 : overlap(union(intervals), intervalOf(top)) / top.duration_us;
}

/** Of the spans of this name and kind, the first. */
export function spanNamed(name: string, spans: readonly TraceSpan[], kind?: string): TraceSpan {
  const found = spans.find((span) => span.name === name && (kind === undefined || span.kind === kind));
  if (found === undefined) throw new Error(`no ${name} among ${spans.map((span) => span.name).join(", ")}`);
  return found;
}

async function find(
  fleet: TestFleet,
  traceId: string,
): Promise<{ trace: Trace; spans: readonly TraceSpan[] } | undefined> {
  const answer = await fetch(`${fleet.traces}/api/traces/${traceId}`, {
    headers: { authorization: `Bearer ${fleet.token}` },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (answer.status === 404) return undefined;
  if (!answer.ok) throw new Error(`the trace receiver answers ${answer.status}: ${await answer.text()}`);
  // The receiver is part of the same release.
  return (await answer.json()) as { trace: Trace; spans: readonly TraceSpan[] };
}

function intervalOf(span: TraceSpan): Interval {
  return [span.start_us, span.start_us + span.duration_us];
}
