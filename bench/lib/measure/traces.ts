import { isComplete, type Trace } from "../../../src/cli/index.ts";
import type { Span } from "../../../src/lib/latency/span.ts";
import { flushTelemetry } from "../../../src/lib/otel/tracing.ts";
import { sleep } from "../../../src/lib/runtime/wait.ts";
import type { TestFleet } from "../../../test/support/fleet.ts";

/** Services send their spans every 300 ms, later on a busy machine. */
const COMPLETE_LIMIT_MS = 15_000;
/** A trace that has not changed for this time is complete; before, it may only look so. */
const QUIET_MS = 700;
const POLL_MS = 250;
const TIMEOUT_MS = 10_000;

/**
 * Reads a fleet's traces by their ids, and waits for spans that have not arrived. Leaves out those
 * that stay incomplete.
 */
export async function readTraces(
  fleet: TestFleet,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly Span[]>> {
  await flushTelemetry();
  const deadline = performance.now() + COMPLETE_LIMIT_MS;
  const found = new Map<string, readonly Span[]>();
  for (let missing = ids; missing.length > 0 && performance.now() < deadline; ) {
    for (const id of missing) {
      const spans = await findTrace(fleet, id, signal);
      if (spans && isComplete(spans)) found.set(id, spans);
    }
    missing = missing.filter((id) => !found.has(id));
    if (missing.length > 0) await sleep(POLL_MS, signal);
  }
  return found;
}

async function findTrace(fleet: TestFleet, id: string, signal: AbortSignal) {
  const answer = await fetch(`${fleet.traces}/api/traces/${id}`, {
    headers: { authorization: `Bearer ${fleet.token}` },
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
  });
  if (answer.status === 404) return undefined;
  if (!answer.ok) throw new Error(`the trace receiver answers ${answer.status}`);
  // The receiver is of the same release.
  const body = (await answer.json()) as { readonly trace: Trace; readonly spans: readonly Span[] };
  return body.trace.idle_ms >= QUIET_MS ? body.spans : undefined;
}
