import type { Phase } from "./vmm.ts";

/** Collects the phases of a launch. Each begins where the last one ended. */
export class PhaseLog {
  readonly startUs = wallClockUs();
  readonly #phases: Phase[] = [];
  #lastUs = this.startUs;

  /** Ends the present phase now and names it. */
  mark(name: string, attributes: Phase["attributes"] = {}): void {
    this.markAt(name, wallClockUs(), attributes);
  }

  /** Ends the present phase at `endUs`, or at its start if that is later. */
  markAt(name: string, endUs: number, attributes: Phase["attributes"] = {}): void {
    const end = Math.max(this.#lastUs, Math.round(endUs));
    this.#phases.push({ name, startUs: Math.round(this.#lastUs), endUs: end, attributes });
    this.#lastUs = end;
  }

  all(): readonly Phase[] {
    return [...this.#phases];
  }
}

/** Returns the host's wall clock in microseconds since the epoch. */
export function wallClockUs(): number {
  return (performance.timeOrigin + performance.now()) * 1_000;
}
