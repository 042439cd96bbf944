import type { Metadata } from "@grpc/grpc-js";
import { nowUs, recordSpan } from "./tracing.ts";

/** Asks a server of ours, in the call's metadata, for its times; carries them back in the trailers as `received,answered`, microseconds since the epoch. */
const TIMES = "windhover-call-times";

/** What two clocks that are called one may differ by: those of processes on one machine, or of machines that are kept together. */
const CLOCKS_US = 2_000;

/**
 * The two ends of a call that begins a trace. In the middle there are the server's spans; before and after them a call is on its way, which neither
 * side sees alone: the caller's own work, its queue, the wire, the server's queue. Inside a trace that time is what is left of the client's span; at
 * its root it would be time without a name. So the caller asks the server when it had the call and when it was done with it, and records the rest.
 */
export class CallTimes {
  readonly #beganUs = nowUs();

  /** Asks for the server's times. @param metadata of the call */
  ask(metadata: Metadata): void {
    metadata.set(TIMES, "1");
  }

  /** Records `rpc.request` and `rpc.response` below the active span; nothing when the server has not said, or its clock is not ours. */
  record(trailers: Metadata): void {
    const endedUs = nowUs();
    const [receivedUs, answeredUs] = String(trailers.get(TIMES)[0] ?? "")
      .split(",")
      .map(Number);
    if (receivedUs === undefined || answeredUs === undefined || !(receivedUs <= answeredUs)) return;
    if (receivedUs < this.#beganUs - CLOCKS_US || answeredUs > endedUs + CLOCKS_US) return;
    recordSpan({ name: "rpc.request", startUs: this.#beganUs, endUs: Math.max(receivedUs, this.#beganUs) });
    recordSpan({ name: "rpc.response", startUs: Math.min(answeredUs, endedUs), endUs: endedUs });
  }
}

/** Whether the caller asked for a server's times. */
export function asksForTimes(metadata: Metadata): boolean {
  return metadata.get(TIMES).length > 0;
}

/** Says when the server had the call, and that it is done with it now. */
export function tellTimes(trailers: Metadata, receivedUs: number): void {
  trailers.set(TIMES, `${receivedUs},${nowUs()}`);
}
