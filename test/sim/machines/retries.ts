import type { Machine } from "../../../src/hostd/machines/machine.ts";

/** As src/hostd/machines/own-starts/restarts.ts has it. */
const WINDOW_MS = 5 * 60_000;
const DEFAULT_RETRIES = 10;

/** A try of a policy that has ended, by the host's clock. */
interface Try {
  readonly ms: number;
  readonly generation: number;
}

/** Counts how often the policy of a machine has tried to restart it. */
export class Retries {
  #tries: Try[] = [];
  #begunMs: number | undefined;

  /** A machine is about to change. Returns how often its policy has tried within the window, when that is too often. */
  changed(before: Machine, after: Machine, nowMs: number): number | undefined {
    // A host may forget how a try has ended when it dies, and make it again. Its clock may go back after a try was long ago.
    this.#tries = this.#tries.filter(
      ({ ms, generation }) => ms > nowMs - WINDOW_MS && generation <= before.generation,
    );
    if (after.state === "starting" && before.state !== "starting") {
      if (after.startCause !== "policy") this.#tries = [];
      this.#begunMs = after.startCause === "policy" ? nowMs : undefined;
    }
    const isOver = before.state === "starting" && after.state !== "starting";
    const isInterrupted = after.state === "restarting" && after.events === before.events;
    if (!isOver || isInterrupted || this.#begunMs === undefined) return undefined;
    this.#tries = [...this.#tries, { ms: this.#begunMs, generation: after.generation }];
    this.#begunMs = undefined;
    const { maxRetries = 0 } = before.spec.config.restart ?? {};
    return this.#tries.length > (maxRetries || DEFAULT_RETRIES) ? this.#tries.length : undefined;
  }
}
