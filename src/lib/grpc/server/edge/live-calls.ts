import type { Claims } from "../../../auth/claims.ts";
import type { Fault } from "../../../faults/fault.ts";

const SWEEP_MS = 1_000;

/** A call that can be ended by its server. */
export interface RefusableCall {
  refuse(fault: Fault): void;
  /** Adds what is called when its stream has closed. */
  onClosed(callback: () => void): void;
}

/** Ends calls under way when their token is revoked, expires, or loses its key. */
export class LiveCalls {
  readonly #lapse: (claims: Claims) => Fault | undefined;
  readonly #calls = new Map<RefusableCall, Claims>();
  #timer: NodeJS.Timeout | undefined;

  /** @param lapse why a token is no longer taken; undefined while it is */
  constructor(lapse: (claims: Claims) => Fault | undefined) {
    this.#lapse = lapse;
  }

  /** Follows a call until its stream has closed. */
  add(call: RefusableCall, claims: Claims): void {
    this.#calls.set(call, claims);
    call.onClosed(() => this.#calls.delete(call));
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  #sweep(): void {
    for (const [call, claims] of this.#calls) {
      const fault = this.#lapse(claims);
      if (!fault) continue;
      this.#calls.delete(call);
      call.refuse(fault);
    }
    if (this.#calls.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
