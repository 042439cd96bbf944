import type * as grpc from "@grpc/grpc-js";
import type { Claims } from "../auth/claims.ts";
import { Fault } from "../faults/fault.ts";
import { onAbort } from "../runtime/abort.ts";
import { callState } from "./call-state.ts";
import { serverDraining } from "./draining.ts";

/** What the four kinds of grpc-js's server calls have in common. */
export interface ServingCall {
  readonly cancelled: boolean;
  readonly metadata: grpc.Metadata;
  /** The full method with a leading slash. */
  getPath(): string;
  /** `address:port` of the caller, or "unknown". */
  getPeer(): string;
  getDeadline(): grpc.Deadline;
  sendMetadata(metadata: grpc.Metadata): void;
  once(event: "cancelled", listener: () => void): unknown;
}

/** What a handler knows about the call it serves. */
export interface CallContext {
  /**
   * Aborts when the caller has gone, the deadline has passed, or (streams) the server shuts down. Its reason is a
   * {@link Fault}. Never aborts once the handler has ended.
   */
  readonly signal: AbortSignal;
  /** Aborts when the server begins to shut down; the call itself may still be finished. */
  readonly draining: AbortSignal;
  readonly metadata: grpc.Metadata;
  readonly call: ServingCall;
  /** Who calls, when the server verifies tokens; see `requireScope`. */
  readonly claims: Claims | undefined;
}

const NEVER = new AbortController().signal;

/** A call from the moment its handler begins until it has been answered. */
export class Serving implements CallContext {
  readonly metadata: grpc.Metadata;
  readonly call: ServingCall;
  readonly claims: Claims | undefined;
  readonly draining: AbortSignal;
  /** Whether nobody waits for an answer any more. */
  gone = false;
  /** Made when it is asked for: most calls are answered before anybody does. */
  #abort: AbortController | undefined;
  #reason: Fault | undefined;
  readonly #onDrain: Disposable | undefined;
  #settled = false;

  /** @param endOnDrain whether the call is to be broken off when the server shuts down */
  constructor(call: ServingCall, endOnDrain: boolean) {
    const state = callState(call.metadata);
    this.call = call;
    this.metadata = call.metadata;
    this.claims = state.claims;
    this.draining = state.draining ?? NEVER;
    // grpc-js emits "cancelled" after success as well, so it counts only until the handler ends.
    call.once("cancelled", () => {
      if (!this.#settled) this.#lose(call);
    });
    if (call.cancelled) this.#lose(call);
    if (!endOnDrain) return;
    this.#onDrain = onAbort(this.draining, () => this.#end(serverDraining("the server is shutting down")));
  }

  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.#reason) this.#abort.abort(this.#reason);
    }
    return this.#abort.signal;
  }

  /** From now on the signal stays as it is. */
  settle(): void {
    this.#settled = true;
    this.#onDrain?.[Symbol.dispose]();
  }

  #lose(call: ServingCall): void {
    this.gone = true;
    this.#end(cancelled(call));
  }

  #end(reason: Fault): void {
    this.#reason ??= reason;
    this.#abort?.abort(this.#reason);
  }
}

/** Milliseconds until the caller's deadline; `Infinity` without one. */
export function remainingMs(ctx: CallContext): number {
  return Number(ctx.call.getDeadline()) - Date.now();
}

function cancelled(call: ServingCall): Fault {
  // The server's timer may fire a little early by the wall clock.
  return Number(call.getDeadline()) - Date.now() <= 5
    ? new Fault("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "the caller's deadline has passed")
    : new Fault("CANCELLED", "CANCELLED", "the caller has gone");
}
