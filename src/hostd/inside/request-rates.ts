import { Fault } from "../../lib/faults/fault.ts";
import type { Clock } from "../../lib/runtime/clock.ts";

const PER_SECOND = 20;
const BURST = 100;
const MAX_MACHINES = 8_192;

/** Bounds how often the program of a machine asks. */
export class RequestRates {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #left = new Map<string, { readonly left: number; readonly atMs: number }>();

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** @throws Fault RATE_LIMITED */
  take(machineId: string): void {
    const nowMs = this.#clock.monotonicMs();
    const { left, atMs } = this.#left.get(machineId) ?? { left: BURST, atMs: nowMs };
    const present = Math.min(BURST, left + ((nowMs - atMs) * PER_SECOND) / 1_000);
    if (present < 1) {
      const message = `a machine may make ${PER_SECOND} requests a second to the API inside it`;
      throw new Fault("RESOURCE_EXHAUSTED", "RATE_LIMITED", message, {}, { retryAfterMs: 1_000 });
    }
    this.#left.delete(machineId);
    this.#left.set(machineId, { left: present - 1, atMs: nowMs });
    if (this.#left.size > MAX_MACHINES) this.#left.delete(this.#left.keys().next().value ?? "");
  }
}
