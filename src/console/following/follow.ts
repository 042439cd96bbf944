import { setImmediate as nextTurn } from "node:timers/promises";
import type { Cursor } from "../../lib/latency/trace-reader.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { startLoop } from "../../lib/runtime/lifecycle.ts";
import { logger } from "../../lib/runtime/log.ts";
import { MINUTES_SINCE_MS } from "../counts/latency-counts.ts";
import type { TraceSource } from "../source.ts";
import type { Memory } from "./memory.ts";

const POLL_MS = 500;
/** Counts, sizes and losses are read in every so many polls. */
const SLOW_POLLS = 4;
/** Read in one piece; requests are answered in between. */
const PAGE = 1_000;
const COUNTS_PAGE = 200;
/** Counts of the last minutes still grow: an operation is counted when its trace is over. */
const COUNTS_AGAIN_MS = 15 * 60_000;
const HOUR_MS = 3_600_000;
const HOURS_SINCE_MS = 32 * 24 * HOUR_MS;

/** Keeps memory up to date with the receiver's store, which may appear, vanish, or become another. */
export class Follower {
  readonly #source: TraceSource;
  readonly #memory: Memory;
  readonly #capacity: number;
  readonly #clock: Clock;
  #cursor: Cursor | undefined;
  #polls = 0;
  #isLoaded = false;
  #hasCounts = false;
  #isReadable = true;

  /** @param capacity operations in memory, the newest */
  constructor(source: TraceSource, memory: Memory, capacity: number, clock: Clock) {
    this.#source = source;
    this.#memory = memory;
    this.#capacity = capacity;
    this.#clock = clock;
  }

  /** Whether all that the store has was read once. */
  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** Starts to follow. Returns a function that stops it. */
  start(): () => Promise<void> {
    return startLoop(POLL_MS, 0, (signal) => this.poll(signal), { name: "follow traces" });
  }

  /** Reads what is new. */
  async poll(signal: AbortSignal): Promise<void> {
    try {
      await this.#readChanges(signal);
      if (this.#polls++ % SLOW_POLLS === 0) await this.#readCounts(signal);
      if (!this.#isReadable) logger.info("the traces can be read again");
      this.#isReadable = true;
    } catch (error) {
      // The receiver may come later than the console.
      if (this.#isReadable) logger.warn("the traces cannot be read", { error });
      this.#isReadable = false;
    }
  }

  async #readChanges(signal: AbortSignal): Promise<void> {
    for (let isMore = true; isMore && !signal.aborted; ) {
      const changes = this.#source.changes(this.#cursor, PAGE);
      if (changes.isReset) {
        this.#memory.clear();
        this.#isLoaded = false;
        this.#hasCounts = false;
        this.#polls = 0;
      }
      const { columns } = this.#memory;
      const first = columns.length;
      columns.append(changes.operations);
      this.#memory.addMarks(changes.marks);
      // Live views hear of new operations only, not of those that are loaded at the start.
      if (this.#isLoaded) {
        const operations = changes.operations.map((_, i) => first + i);
        this.#memory.announce({ operations, marks: changes.marks });
      }
      columns.remove(changes.removed);
      columns.bound(this.#capacity);
      this.#cursor = changes.cursor;
      isMore = changes.isMore;
      if (isMore) await nextTurn();
    }
    this.#isLoaded = !signal.aborted;
  }

  async #readCounts(signal: AbortSignal): Promise<void> {
    const memory = this.#memory;
    const now = this.#clock.now();
    const sinceMs = this.#hasCounts ? now - COUNTS_AGAIN_MS : now - MINUTES_SINCE_MS;
    const hoursSinceMs = this.#hasCounts ? now - COUNTS_AGAIN_MS - HOUR_MS : now - HOURS_SINCE_MS;
    const until = { untilMs: Number.MAX_SAFE_INTEGER };
    const minutes = this.#source.latency({ ...until, sinceMs, step: "minute" });
    const hours = this.#source.latency({ ...until, sinceMs: hoursSinceMs, step: "hour" });
    for (const [counts, rows] of [
      [memory.counts.minutes, minutes],
      [memory.counts.hours, hours],
    ] as const) {
      for (let at = 0; at < rows.length; at += COUNTS_PAGE) {
        counts.put(rows.slice(at, at + COUNTS_PAGE));
        if (rows.length > COUNTS_PAGE) await nextTurn();
        if (signal.aborted) return;
      }
    }
    const lossesSinceMs = this.#hasCounts ? sinceMs : now - HOURS_SINCE_MS;
    memory.putLosses(lossesSinceMs, this.#source.losses(lossesSinceMs, until.untilMs));
    this.#hasCounts = true;
    memory.diskBytes = this.#source.state().diskBytes;
  }
}
