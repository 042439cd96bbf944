import type { Mark } from "../../lib/latency/operation.ts";
import type { Loss } from "../../lib/latency/trace-reader.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { Columns } from "../columns/columns.ts";
import { LatencyCounts } from "../counts/latency-counts.ts";
import type { ObjectiveTarget } from "../parameters/objectives.ts";
import type { Held } from "../queries/question.ts";

/** What is new in memory. */
export interface News {
  /** Indices. */
  readonly operations: readonly number[];
  readonly marks: readonly Mark[];
}

const MINUTE_MS = 60_000;
const MAX_MARKS = 5_000;
const MAX_LOSSES = 50_000;

/** What the console has read of the receiver's store. */
export class Memory implements Held {
  columns = new Columns();
  counts = newCounts();
  marks: readonly Mark[] = [];
  losses: readonly Loss[] = [];
  diskBytes = 0;
  readonly objectives: readonly ObjectiveTarget[];
  readonly #clock: Clock;
  readonly #listeners = new Set<(news: News) => void>();

  constructor(objectives: readonly ObjectiveTarget[], clock: Clock) {
    this.objectives = objectives;
    this.#clock = clock;
  }

  get nowMs(): number {
    return this.#clock.now();
  }

  /** Calls `listener` with what is new, before indices change again. */
  onNews(listener: (news: News) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  announce(news: News): void {
    if (news.operations.length + news.marks.length === 0) return;
    for (const listener of this.#listeners) listener(news);
  }

  addMarks(marks: readonly Mark[]): void {
    if (marks.length === 0) return;
    this.marks = [...this.marks, ...marks].toSorted((a, b) => a.timeMs - b.timeMs).slice(-MAX_MARKS);
  }

  /** Replaces the losses from an instant on: the last ones still grow. */
  putLosses(sinceMs: number, losses: readonly Loss[]): void {
    const before = this.losses.filter(({ timeMs }) => timeMs < sinceMs);
    this.losses = [...before, ...losses].slice(-MAX_LOSSES);
  }

  /** Forgets everything: the store is another one. */
  clear(): void {
    this.columns = new Columns();
    this.counts = newCounts();
    this.marks = [];
    this.losses = [];
  }
}

function newCounts() {
  return { minutes: new LatencyCounts(MINUTE_MS), hours: new LatencyCounts(60 * MINUTE_MS) };
}
