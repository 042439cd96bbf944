import { expect } from "vitest";
import { isComplete, type Trace } from "../../../src/cli/commands/trace/spans.ts";
import { criticalPath } from "../../../src/lib/latency/analysis/critical-path.ts";
import type { Span } from "../../../src/lib/latency/span.ts";
import type { TestFleet } from "../fleet.ts";

const ARRIVAL = { timeout: 40_000, interval: 100 };
/** Services send what they have every 300 ms: after twice that, what is not there does not come. */
const QUIET_MS = 700;
const TIMEOUT_MS = 5_000;

/** All spans of a trace, once they have arrived. */
export async function traceOf(fleet: TestFleet, traceId: string): Promise<readonly Span[]> {
  let spans: readonly Span[] = [];
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
export function coverageBelow(top: Span, spans: readonly Span[]): number {
  const own = criticalPath(spans, top.span_id).filter(({ spanId }) => spanId === top.span_id);
  const ownUs = own.reduce((sum, { startUs, endUs }) => sum + endUs - startUs, 0);
  return top.duration_us === 0 ? 0 : 1 - ownUs / top.duration_us;
}

/** Of the spans of this name and kind, the first. */
export function spanNamed(name: string, spans: readonly Span[], kind?: string): Span {
  const found = spans.find((span) => span.name === name && (kind === undefined || span.kind === kind));
  if (found === undefined) throw new Error(`no ${name} among ${spans.map((span) => span.name).join(", ")}`);
  return found;
}

async function find(
  fleet: TestFleet,
  traceId: string,
): Promise<{ trace: Trace; spans: readonly Span[] } | undefined> {
  const answer = await fetch(`${fleet.traces}/api/traces/${traceId}`, {
    headers: { authorization: `Bearer ${fleet.token}` },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (answer.status === 404) return undefined;
  if (!answer.ok) throw new Error(`the trace receiver answers ${answer.status}: ${await answer.text()}`);
  // The receiver is part of the same release.
  return (await answer.json()) as { trace: Trace; spans: readonly Span[] };
}
