export type Phase = "queued" | "resolving" | "downloading" | "flattening" | "squashing";

/** Progress of a pull. Figures are those of the phase and never go back within it. */
export interface Progress {
  readonly phase: Phase;
  readonly bytesDone: number;
  /** 0 while unknown. */
  readonly bytesTotal: number;
  readonly layersDone: number;
  readonly layersTotal: number;
}

/** How long figures of a phase are collected before they are reported. */
const INTERVAL_MS = 200;

/** Counts the progress of a pull. Reports each new phase at once, and otherwise five times a second. */
export class ProgressMeter implements Disposable {
  readonly #report: (progress: Progress) => void;
  #timer: NodeJS.Timeout | undefined;
  #progress: Progress = { phase: "queued", bytesDone: 0, bytesTotal: 0, layersDone: 0, layersTotal: 0 };

  constructor(report: (progress: Progress) => void) {
    this.#report = report;
  }

  begin(phase: Phase, bytesTotal = 0, layersTotal = this.#progress.layersTotal): void {
    this.#progress = { phase, bytesDone: 0, bytesTotal, layersDone: 0, layersTotal };
    this.#send();
  }

  advance(bytes: number, layers = 0): void {
    const { bytesDone, layersDone } = this.#progress;
    this.#progress = { ...this.#progress, bytesDone: bytesDone + bytes, layersDone: layersDone + layers };
    this.#timer ??= setTimeout(() => this.#send(), INTERVAL_MS);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#report(this.#progress);
  }
}
