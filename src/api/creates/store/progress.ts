import { onAbort } from "../../../lib/runtime/abort.ts";
import type { PrepareProgress } from "../../hosts/hostd.ts";

/** A step of a create in a list of its progress. */
export interface StepProgress extends PrepareProgress {
  /** Position in the list. A running step keeps its position until it ends. */
  readonly sequence: number;
  readonly step: string;
  readonly status: "running" | "done" | "undone" | "failed";
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
}

const NO_DETAIL: PrepareProgress = { detail: "", bytesDone: 0, bytesTotal: 0 };

/** The progress of one create. Bounded: a report of a running step replaces the previous one. */
export class Progress {
  readonly #entries: { progress: StepProgress; version: number }[];
  readonly #now: () => number;
  #version = 0;
  #isClosed = false;
  #changed = Promise.withResolvers<void>();

  /** @param before what an earlier run has stored */
  constructor(now: () => number, before: readonly StepProgress[] = []) {
    this.#now = now;
    this.#entries = before.map((progress) => ({ progress, version: 0 }));
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Adds a step that begins. A step that is repeated after a crash keeps its position. */
  begin(step: string): StepProgress {
    return this.#put(this.#runningEntry(step) ?? this.#entry(this.#next(), step, "running", NO_DETAIL));
  }

  advance(step: string, detail: PrepareProgress): StepProgress {
    const sequence = this.#runningEntry(step)?.sequence ?? this.#next();
    return this.#put(this.#entry(sequence, step, "running", detail));
  }

  end(step: string, status: "done" | "undone" | "failed", detail = ""): StepProgress {
    return this.#put(this.#entry(this.#next(), step, status, { ...NO_DETAIL, detail }));
  }

  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  /** Yields the whole list, then every change until it is closed or `signal` aborts. */
  async *follow(signal: AbortSignal): AsyncGenerator<StepProgress> {
    const aborted = Promise.withResolvers<void>();
    using _ = onAbort(signal, aborted.resolve);
    let seen = -1;
    while (!signal.aborted) {
      const changed = this.#changed.promise;
      const fresh = this.#entries.filter((entry) => entry.version > seen);
      seen = this.#version;
      for (const { progress } of fresh) yield progress;
      if (this.#isClosed && this.#version === seen) return;
      if (this.#version === seen) await Promise.race([changed, aborted.promise]);
    }
  }

  #runningEntry(step: string): StepProgress | undefined {
    const last = this.#entries.at(-1)?.progress;
    return last?.step === step && last.status === "running" ? last : undefined;
  }

  #next(): number {
    return (this.#entries.at(-1)?.progress.sequence ?? 0) + 1;
  }

  #entry(
    sequence: number,
    step: string,
    status: StepProgress["status"],
    detail: PrepareProgress,
  ): StepProgress {
    return { sequence, step, status, ...detail, timeMs: this.#now() };
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
