import { isComplete, type Trace, type TraceSpan } from "../../src/cli/index.ts";
import { flushTelemetry } from "../../src/lib/otel/tracing.ts";
import { sleep } from "../../src/lib/runtime/wait.ts";
import type { TestFleet } from "../../test/support/fleet.ts";
import { traceClient } from "../../test/support/trace-client.ts";

/** Services send their spans every 300 ms; on a machine at its limit the last ones take a while. */
const COMPLETE_LIMIT_MS = 15_000;
/** After twice that, what has not arrived does not come: until then a trace may look complete with its first spans alone. */
const QUIET_MS = 700;
const POLL_MS = 250;
const TIMEOUT_MS = 10_000;

/** The benchmark's own spans, so that the time between its call and the api is part of each trace. */
export class ClientTracing {
  readonly #fleet: TestFleet;
  readonly #stop: () => Promise<void>;

  private constructor(fleet: TestFleet, stop: () => Promise<void>) {
    this.#fleet = fleet;
    this.#stop = stop;
  }

  /** Sends this process's spans to the fleet's receiver from now on. One at a time: the tracer is the process's. */
  static async start(fleet: TestFleet): Promise<ClientTracing> {
    return new ClientTracing(fleet, await traceClient(fleet));
  }

  /** Reads traces by their ids, waiting for spans that are still on their way. Those that stay incomplete are left out. */
  async read(
    ids: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, readonly TraceSpan[]>> {
    await flushTelemetry();
    const deadline = performance.now() + COMPLETE_LIMIT_MS;
    const found = new Map<string, readonly TraceSpan[]>();
    let missing = [...ids];
    while (missing.length > 0 && performance.now() < deadline) {
      for (const id of missing) {
        signal.throwIfAborted();
        const spans = await this.#find(id, signal);
        if (spans && isComplete(spans)) found.set(id, spans);
      }
      missing = missing.filter((id) => !found.has(id));
      if (missing.length > 0) await sleep(POLL_MS, signal);
    }
    return found;
  }

  async #find(id: string, signal: AbortSignal): Promise<readonly TraceSpan[] | undefined> {
    const answer = await fetch(`${this.#fleet.traces}/api/traces/${id}`, {
      headers: { authorization: `Bearer ${this.#fleet.token}` },
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    if (answer.status === 404) return undefined;
    if (!answer.ok) throw new Error(`the trace receiver answers ${answer.status}`);
    // The receiver is part of the same release.
    const body = (await answer.json()) as { readonly trace: Trace; readonly spans: readonly TraceSpan[] };
    return body.trace.idle_ms >= QUIET_MS ? body.spans : undefined;
  }

  /** Stops tracing, before the fleet goes; another fleet may be traced then. */
  stop(): Promise<void> {
    return this.#stop();
  }
}
