import type { Metadata } from "@grpc/grpc-js";
import { type Context, context, type Span } from "@opentelemetry/api";
import { nowUs, recordSpan, timesOf } from "../../otel/tracing.ts";

/** Asks a server of ours, in the call's metadata, for its times; carries them back in the trailers as `received,answered`, microseconds since the epoch. */
const TIMES = "windhover-call-times";

/** What two clocks that are called one may differ by: those of processes on one machine, or of machines that are kept together. */
const CLOCKS_US = 2_000;

/**
 * The two ends of a call that begins a trace. In the middle there are the server's spans; before and after them a call is on its way, which neither
 * side sees alone: the caller's own work, its queue, the wire, the server's queue. Inside a trace that time is what is left of the client's span; at
 * its root it would be time without a name. So the caller asks the server when it had the call and when it was done with it, and records the rest.
 */
export function askForTimes(metadata: Metadata): void {
  metadata.set(TIMES, "1");
}

/**
 * Records `rpc.request` and `rpc.response` below a call's span that has ended; nothing when the server has not said, or its clock is not ours.
 *
 * @param ctx with that span as the active one
 */
export function recordTransit(span: Span, ctx: Context, trailers: Metadata): void {
  const call = timesOf(span);
  const [receivedUs, answeredUs] = String(trailers.get(TIMES)[0] ?? "")
    .split(",")
    .map(Number);
  if (!call || receivedUs === undefined || answeredUs === undefined || !(receivedUs <= answeredUs)) return;
  const { startUs, endUs } = call;
  if (receivedUs < startUs - CLOCKS_US || answeredUs > endUs + CLOCKS_US) return;
  context.with(ctx, () => {
    recordSpan({ name: "rpc.request", startUs, endUs: Math.max(receivedUs, startUs) });
    recordSpan({ name: "rpc.response", startUs: Math.min(answeredUs, endUs), endUs });
  });
}

/** Whether the caller asked for a server's times. */
export function asksForTimes(metadata: Metadata): boolean {
  return metadata.get(TIMES).length > 0;
}

/** Says when the server had the call, and that it is done with it now. */
export function tellTimes(trailers: Metadata, receivedUs: number): void {
  trailers.set(TIMES, `${receivedUs},${nowUs()}`);
}
