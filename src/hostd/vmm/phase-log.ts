import type { Phase } from "./vmm.ts";

/** Collects the phases of a launch. Each begins where the last one ended. */
export class PhaseLog {
  readonly startUs = wallClockUs();
  readonly #phases: Phase[] = [];
  #lastUs = this.startUs;
  #movedUs = 0;

  /** Largest time by which the end of a phase was moved, as it would have been before its start. */
  get movedUs(): number {
    return Math.round(this.#movedUs);
  }

  /** Ends the present phase now and names it. */
  mark(name: string, attributes: Phase["attributes"] = {}): void {
    this.markAt(name, wallClockUs(), attributes);
  }

  /** Ends the present phase at `endUs`, or at its start if that is later. */
  markAt(name: string, endUs: number, attributes: Phase["attributes"] = {}): void {
    const end = Math.max(this.#lastUs, Math.round(endUs));
    if (endUs < this.#lastUs) this.#movedUs = Math.max(this.#movedUs, this.#lastUs - endUs);
    this.#phases.push({ name, startUs: Math.round(this.#lastUs), endUs: end, attributes });
    this.#lastUs = end;
  }

  /** Ends the present phase now, in which something was tried that has failed. */
  fail(name: string, reason: string): void {
    this.mark(name);
    const failed = this.#phases.pop();
    if (failed) this.#phases.push({ ...failed, reason });
  }

  all(): readonly Phase[] {
    return [...this.#phases];
  }
}

/** Returns the host's wall clock in microseconds since the epoch. */
export function wallClockUs(): number {
  return (performance.timeOrigin + performance.now()) * 1_000;
}
