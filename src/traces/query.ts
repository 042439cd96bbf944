import type { ServerResponse } from "node:http";
import { Fault } from "../lib/faults/fault.ts";
import { Violations } from "../lib/faults/violations.ts";
import { isSpanVisible, isVisible } from "../lib/latency/visibility.ts";
import type { Clock } from "../lib/runtime/clock.ts";
import { sendJson, sendText } from "./reply.ts";
import type { StoredSummary } from "./store/rows.ts";
import type { Filter, TraceStore } from "./store/store.ts";

/** The query API. Traces that `org` may not see are answered as if they did not exist. */
export class Query {
  readonly #store: TraceStore;
  readonly #clock: Clock;

  constructor(store: TraceStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** `GET /api/traces?machine=&name=&limit=`: summaries, newest first. */
  list(response: ServerResponse, parameters: URLSearchParams, org: string | undefined): void {
    const traces = this.#store.list({ ...filterOf(parameters), ...(org === undefined ? {} : { org }) });
    sendJson(response, 200, { traces: traces.map((trace) => this.#show(trace)) });
  }

  /** `GET /api/traces/<trace id>`: a summary and all its spans, earliest first. */
  get(response: ServerResponse, traceId: string, org: string | undefined): void {
    const found = this.#store.get(traceId);
    if (!found || (org !== undefined && !isVisible(found.summary, org)))
      throw new Fault("NOT_FOUND", "TRACE_NOT_FOUND", `no trace ${traceId} is kept here`, {
        trace_id: traceId,
      });
    // Clients of other organisations may have added spans.
    const spans = found.spans.filter((s) => org === undefined || isSpanVisible(s.clientOrg, org));
    const trace = JSON.stringify(this.#show(found.summary));
    sendText(response, 200, `{"trace":${trace},"spans":[${spans.map((span) => span.json).join(",")}]}`);
  }

  #show(trace: StoredSummary) {
    return {
      trace_id: trace.traceId,
      root_name: trace.rootName,
      root_service: trace.rootService,
      has_root: trace.hasRoot,
      start_time: instant(trace.startUs),
      duration_us: trace.endUs - trace.startUs,
      spans: trace.spans,
      dropped_spans: trace.dropped,
      // Small: more spans are likely to come.
      idle_ms: Math.max(0, this.#clock.now() - trace.receivedMs),
    };
  }
}

function filterOf(parameters: URLSearchParams): Filter {
  const violations = new Violations();
  const machineId = parameters.get("machine") ?? undefined;
  if (machineId !== undefined && !/^[0-9a-f]{14}$/.test(machineId))
    violations.add("machine", "must be a machine id, 14 lower-case hex digits");
  const namePrefix = parameters.get("name") ?? undefined;
  if (namePrefix !== undefined && namePrefix.length > 256)
    violations.add("name", "must have at most 256 characters");
  const limit = parameters.get("limit") ?? "20";
  if (!/^\d{1,3}$/.test(limit) || Number(limit) < 1 || Number(limit) > 200)
    violations.add("limit", "must be a whole number from 1 to 200");
  violations.throwIfAny();
  return {
    ...(machineId === undefined ? {} : { machineId }),
    ...(namePrefix === undefined ? {} : { namePrefix }),
    limit: Number(limit),
  };
}

function instant(us: number): string {
  // Senders may claim any time; a Date ends in the year 275760.
  return new Date(Math.min(us / 1_000, 8.64e15)).toISOString();
}
