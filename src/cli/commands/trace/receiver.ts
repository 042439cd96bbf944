import { Fault } from "../../../lib/faults/fault.ts";
import type { Span } from "../../../lib/latency/span.ts";
import { sleep } from "../../../lib/runtime/wait.ts";
import { httpRequest } from "../../session/http.ts";
import type { Session } from "../../session/session.ts";
import { isComplete, type Trace } from "./spans.ts";

const TIMEOUT_MS = 5_000;
/** Longest wait for late spans. */
const LATE_SPANS_LIMIT_MS = 3_000;
const POLL_MS = 150;
/** A complete trace without a new span for this long is over. Services send every 300 ms. */
const QUIET_MS = 400;
/** An incomplete trace without a new span for this long stays so. */
const SILENT_MS = 2_000;

export interface FullTrace {
  readonly trace: Trace;
  readonly spans: readonly Span[];
}

/**
 * Reads a trace. Waits a little for spans that have not arrived yet.
 *
 * @throws Fault NOT_FOUND / `TRACE_NOT_FOUND` when none has arrived in time
 */
export async function readTrace(session: Session, traceId: string): Promise<FullTrace> {
  const deadline = performance.now() + LATE_SPANS_LIMIT_MS;
  for (;;) {
    // The receiver is part of the same release.
    const found = (await ask(session, `/api/traces/${traceId}`)) as FullTrace | undefined;
    const isOver = performance.now() >= deadline;
    if (found) {
      const { idle_ms: idle } = found.trace;
      if (isOver || idle >= SILENT_MS || (idle >= QUIET_MS && isComplete(found.spans))) return found;
    } else if (isOver) {
      const message = `the trace receiver has no trace ${traceId}: it keeps only the latest`;
      throw new Fault("NOT_FOUND", "TRACE_NOT_FOUND", message, { trace: traceId });
    }
    await sleep(POLL_MS, session.signal);
    session.signal.throwIfAborted();
  }
}

/** Lists the traces of a machine that the receiver has, newest first. */
export async function tracesOf(session: Session, machineId: string): Promise<readonly Trace[]> {
  const answer = await ask(session, `/api/traces?machine=${machineId}&limit=100`);
  return answer === undefined ? [] : (answer as { traces: Trace[] }).traces;
}

async function ask(session: Session, path: string): Promise<unknown> {
  const { value, from } = session.settings.traces;
  const options = { token: session.token(), timeoutMs: TIMEOUT_MS, signal: session.signal };
  const answer = await httpRequest(`http://${value}${path}`, options).catch((cause: unknown) => {
    if (session.signal.aborted) throw cause;
    const message = `the trace receiver at ${value} (from ${from}) does not answer`;
    throw new Fault("UNAVAILABLE", "RECEIVER_UNAVAILABLE", message, { address: value }, { cause });
  });
  if (answer.status === 404) return undefined;
  const body = parse(answer.text);
  if (answer.status === 200 && body !== undefined) return body;
  const { reason, message } = Object(Object(body)["error"]);
  const why = typeof message === "string" ? `: ${message}` : "";
  throw new Fault(
    answer.status === 401 ? "UNAUTHENTICATED" : answer.status === 403 ? "PERMISSION_DENIED" : "UNKNOWN",
    typeof reason === "string" ? reason : "RECEIVER_ANSWER",
    `the trace receiver at ${value} answered ${answer.status}${why}`,
    { address: value },
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
