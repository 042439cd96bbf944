import { onAbort } from "../../../lib/runtime/abort.ts";
/** A step of a create, and how far it is. */
export interface StepProgress {
  /** Position among the create's messages. A step that moves on keeps its position until it ends. */
  readonly sequence: number;
  readonly step: string;
  readonly status: "running" | "done" | "undone" | "failed";
  readonly detail: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
}

/** How far a step is within itself. */
export interface Within {
  readonly detail: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/**
 * The progress of one create, from its beginning. Bounded: what a step reports while it runs replaces what it reported before. Any number may
 * follow it; one that is slow misses steps in between, never the last.
 */
export class Progress {
  readonly #entries: { progress: StepProgress; version: number }[];
  readonly #now: () => number;
  #version = 0;
  #isOver = false;
  #changed = Promise.withResolvers<void>();

  /**
   * @param now milliseconds since the epoch
   * @param before what was stored before a crash
   */
  constructor(now: () => number, before: readonly StepProgress[] = []) {
    this.#now = now;
    this.#entries = before.map((progress) => ({ progress, version: 0 }));
  }

  /** A step begins. */
  begin(step: string): StepProgress {
    const last = this.#entries.at(-1);
    // A step that is repeated after a crash goes on where it was.
    if (last?.progress.step === step && last.progress.status === "running") return this.#put(last.progress);
    return this.#put(this.#entry(this.#next(), step, "running", NOTHING));
  }

  /** The step that runs is so far. */
  advance(step: string, within: Within): StepProgress {
    const last = this.#entries.at(-1)?.progress;
    const isRunning = last?.step === step && last.status === "running";
    return this.#put(this.#entry(isRunning ? last.sequence : this.#next(), step, "running", within));
  }

  /** A step has ended, or has been taken back. */
  end(step: string, status: "done" | "undone" | "failed", detail = ""): StepProgress {
    return this.#put(this.#entry(this.#next(), step, status, { ...NOTHING, detail }));
  }

  /** Nothing more will come. */
  close(): void {
    this.#isOver = true;
    this.#wake();
  }

  /** Everything from the beginning, then whatever comes; ends when the create does, or `signal` aborts. */
  async *follow(signal: AbortSignal): AsyncGenerator<StepProgress> {
    const stop = Promise.withResolvers<void>();
    using _ = onAbort(signal, stop.resolve);
    let seen = -1;
    while (!signal.aborted) {
      const changed = this.#changed.promise;
      const fresh = this.#entries.filter((entry) => entry.version > seen);
      seen = this.#version;
      for (const { progress } of fresh) yield progress;
      if (this.#isOver && this.#version === seen) return;
      if (this.#version === seen) await Promise.race([changed, stop.promise]);
    }
  }

  #next(): number {
    return (this.#entries.at(-1)?.progress.sequence ?? 0) + 1;
  }

  #entry(sequence: number, step: string, status: StepProgress["status"], within: Within): StepProgress {
    return { sequence, step, status, ...within, timeMs: this.#now() };
  }

  #put(progress: StepProgress): StepProgress {
    this.#version += 1;
    const entry = { progress, version: this.#version };
    const at = this.#entries.findIndex((known) => known.progress.sequence === progress.sequence);
    if (at >= 0) this.#entries[at] = entry;
    else this.#entries.push(entry);
    this.#wake();
    return progress;
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

const NOTHING: Within = { detail: "", bytesDone: 0, bytesTotal: 0 };
