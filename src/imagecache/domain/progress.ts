import type { Clock } from "../../lib/clock.ts";
import type { Phase, Progress } from "./image.ts";

/** No more often than a person can read. */
const INTERVAL_MS = 200;

/** Keeps the figures of a pull and passes them on now and then: at each change of phase, and five times a second. */
export class ProgressMeter {
  readonly #report: (progress: Progress) => void;
  readonly #clock: Clock;
  #progress: Progress = { phase: "queued", bytesDone: 0, bytesTotal: 0, layersDone: 0, layersTotal: 0 };
  #reportedMs = Number.NEGATIVE_INFINITY;

  constructor(report: (progress: Progress) => void, clock: Clock) {
    this.#report = report;
    this.#clock = clock;
  }

  /** A new phase begins, with this much to do. */
  begin(phase: Phase, bytesTotal = 0, layersTotal = this.#progress.layersTotal): void {
    this.#progress = { phase, bytesDone: 0, bytesTotal, layersDone: 0, layersTotal };
    this.#send();
  }

  /** So much more was done. A download that starts over counts nothing twice: it reports what is new. */
  advance(bytes: number, layers = 0): void {
    const { bytesDone, layersDone } = this.#progress;
    this.#progress = { ...this.#progress, bytesDone: bytesDone + bytes, layersDone: layersDone + layers };
    if (this.#clock.monotonicMs() - this.#reportedMs >= INTERVAL_MS) this.#send();
  }

  #send(): void {
    this.#reportedMs = this.#clock.monotonicMs();
    this.#report(this.#progress);
  }
}
