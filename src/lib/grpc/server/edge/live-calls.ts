import type { Fault } from "../../../faults/fault.ts";

const SWEEP_MS = 1_000;

/** A call that can be ended by its server. */
export interface RefusableCall {
  refuse(fault: Fault): void;
  /** Adds what is called when its stream has closed. */
  onClosed(callback: () => void): void;
}

/** The right to make a call. */
interface Right {
  /** Returns why it is gone; undefined while it is there. */
  lapse(): Fault | undefined;
}

/** Ends calls under way when their caller may no longer make them. */
export class LiveCalls {
  readonly #calls = new Map<RefusableCall, Right>();
  #timer: NodeJS.Timeout | undefined;

  /** Follows a call until its stream has closed. */
  add(call: RefusableCall, right: Right): void {
    this.#calls.set(call, right);
    call.onClosed(() => this.#calls.delete(call));
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  #sweep(): void {
    for (const [call, right] of this.#calls) {
      const fault = right.lapse();
      if (!fault) continue;
      this.#calls.delete(call);
      call.refuse(fault);
    }
    if (this.#calls.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
