import { Fault } from "../faults/fault.ts";
import { onAbort } from "../runtime/abort.ts";

/** The error for callers of a server that shuts down: another replica answers, or the next process. */
export function serverDraining(message: string, retryAfterMs = 500): Fault {
  return new Fault("UNAVAILABLE", "SERVER_DRAINING", message, {}, { retryAfterMs });
}

/**
 * Runs work that may take longer than the shutdown's grace. Its signal aborts with the call's, and with UNAVAILABLE /
 * `SERVER_DRAINING` as soon as the server shuts down.
 */
export async function untilDraining<T>(
  ctx: { readonly signal: AbortSignal; readonly draining: AbortSignal },
  message: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const end = new AbortController();
  using _draining = onAbort(ctx.draining, () => end.abort(serverDraining(message)));
  using _gone = onAbort(ctx.signal, () => end.abort(ctx.signal.reason));
  return await work(end.signal);
}
