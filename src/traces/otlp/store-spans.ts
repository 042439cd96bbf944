import { setImmediate } from "node:timers/promises";
import { Fault } from "../../lib/faults/fault.ts";
import { MAX_CLIENT_SPANS_PER_REQUEST } from "../access.ts";
import type { TraceStore } from "../store/store.ts";
import type { Origin } from "../store/summary.ts";
import { MAX_SPANS_PER_REQUEST, type Normalized } from "./span-limits.ts";

/** What an export answers. */
interface Stored {
  readonly refused: number;
  /** Why spans were refused; empty when none was. */
  readonly why: string;
}

/** Spans that a sender may have in one request. */
export function spanLimit(origin: Origin): number {
  return origin.kind === "client" ? MAX_CLIENT_SPANS_PER_REQUEST : MAX_SPANS_PER_REQUEST;
}

/** Spans that are stored without a pause for other requests. */
const CHUNK = 2_000;

/** Stores the spans of a request. @throws Fault UNAVAILABLE / `STORE_UNAVAILABLE` */
export async function storeSpans(store: TraceStore, request: Normalized, origin: Origin): Promise<Stored> {
  const { spans, rejected } = request;
  const problems = new Set(request.problems);
  let refused = rejected;
  try {
    for (let from = 0; from === 0 || from < spans.length; from += CHUNK) {
      if (from > 0) await setImmediate();
      const added = store.add(spans.slice(from, from + CHUNK), origin, from === 0 ? rejected : 0);
      refused += added.dropped;
      for (const problem of added.problems) problems.add(problem);
    }
    return { refused, why: [...problems].join("; ") };
  } catch (cause) {
    // OTLP senders try again later; spans that are stored already are known by their ids.
    const extra = { cause, retryAfterMs: 5_000 };
    throw new Fault("UNAVAILABLE", "STORE_UNAVAILABLE", "the spans could not be stored", {}, extra);
  }
}
