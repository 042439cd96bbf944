import type { Phase, Progress } from "../disk/image.ts";

/** Keeps the figures of a pull. */
export class ProgressMeter {
  readonly #report: (progress: Progress) => void;
  #progress: Progress = { phase: "queued", bytesDone: 0, bytesTotal: 0, layersDone: 0, layersTotal: 0 };

  constructor(report: (progress: Progress) => void) {
    this.#report = report;
  }

  /** A new phase begins, with this much to do. */
  begin(phase: Phase, bytesTotal = 0, layersTotal = this.#progress.layersTotal): void {
    this.#set({ phase, bytesDone: 0, bytesTotal, layersDone: 0, layersTotal });
  }

  /** So much more was done. A download that starts over counts nothing twice: it reports what is new. */
  advance(bytes: number, layers = 0): void {
    const { bytesDone, layersDone } = this.#progress;
    this.#set({ ...this.#progress, bytesDone: bytesDone + bytes, layersDone: layersDone + layers });
  }

  #set(progress: Progress): void {
    this.#progress = progress;
    this.#report(progress);
  }
}

/** No more often than a person can read. */
const INTERVAL_MS = 200;

/** How long after `shown` the next figures are due: at once when the phase is another, and five times a second otherwise. */
export function holdMs(shown: Progress, next: Progress): number {
  return shown.phase === next.phase ? INTERVAL_MS : 0;
}
