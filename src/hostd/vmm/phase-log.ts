import type { Phase } from "./vmm.ts";

/** Collects where the time of a launch goes. Stretches follow each other: each begins where the last one ended. */
export class PhaseLog {
  /** When the launch began, in microseconds. */
  readonly startUs: number;
  private readonly phases: Phase[] = [];
  private readonly now: () => number;
  private lastUs: number;

  constructor(now: () => number) {
    this.now = now;
    this.startUs = this.lastUs = now();
  }

  /** Ends the present stretch now and names it. */
  mark(name: string, attributes: Phase["attributes"] = {}): void {
    this.markAt(name, this.now(), attributes);
  }

  /** Ends the present stretch at `endUs`, which is never taken for earlier than its start. */
  markAt(name: string, endUs: number, attributes: Phase["attributes"] = {}): void {
    const end = Math.max(this.lastUs, Math.round(endUs));
    this.phases.push({ name, startUs: Math.round(this.lastUs), endUs: end, attributes });
    this.lastUs = end;
  }

  /** All stretches so far. */
  all(): readonly Phase[] {
    return [...this.phases];
  }
}
