import { untraced } from "../../lib/otel/untraced.ts";
import { type Backoff, backoffMs } from "../../lib/runtime/backoff.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import type { Position } from "./position.ts";

/** Between reads: changes that another api has stored are seen after it at the latest. */
const POLL_MS = 200;
/** Between reads while a transaction under way holds changes back. */
const BLOCKED_POLL_MS = 20;
/** Between reads at least, while changes come all the time. */
const MIN_PAUSE_MS = 5;
const RETRY: Backoff = { firstMs: 100, maxMs: 1_000 };
/** Time without the database after which watches fail. */
export const OUTAGE_LIMIT_MS = 30_000;

/** A log of changes, and those who follow it. */
export interface FollowedLog {
  hasFollowers(): boolean;
  /** Returns a position that every change before it is visible at. */
  frontier(): Promise<Position>;
  /** Reads changes after a position, and hands them to the followers. */
  read(after: Position): Promise<ReadResult>;
  /** Ends all followers. */
  fail(fault: unknown): void;
}

/** How far a read has come. */
export interface ReadResult {
  readonly position: Position;
  /** Whether more changes can be read at once. */
  readonly isMore: boolean;
  /** Whether a transaction under way holds changes back. */
  readonly isBlocked: boolean;
}

/** Reads a log once for all its followers, while there are any. */
export class LogFollower {
  readonly #log: FollowedLog;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #closed = new AbortController();
  #starting: Promise<Position> | undefined;
  #position: Position | undefined;
  #reading: Promise<void> | undefined;
  #wake: AbortController | undefined;
  #isWoken = false;

  constructor(log: FollowedLog, clock: Pick<Clock, "monotonicMs">) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Position up to which every follower has its changes. Undefined: there are no followers. */
  get position(): Position | undefined {
    return this.#position;
  }

  /**
   * Adds a follower between two reads: it gets the changes after the position.
   *
   * @throws Fault `DATABASE_UNAVAILABLE`
   */
  async add<T>(follow: (from: Position) => T): Promise<T> {
    for (;;) {
      if (this.#position === undefined) await this.#start();
      // A read under way is only for those who follow already.
      else if (this.#reading !== undefined) await this.#reading;
      else return follow(this.#position);
    }
  }

  /** Reads at once, e.g. because this api has stored changes. */
  wake(): void {
    this.#isWoken = true;
    this.#wake?.abort();
  }

  /**
   * Waits up to `ms` until followers have all changes of transactions before `xid`. Returns whether
   * they do.
   */
  async reach(xid: bigint, ms: number, signal: AbortSignal): Promise<boolean> {
    const untilMs = this.#clock.monotonicMs() + ms;
    while ((this.#position?.xid ?? 0n) < xid) {
      if (signal.aborted || this.#clock.monotonicMs() >= untilMs) return false;
      this.wake();
      await sleep(MIN_PAUSE_MS, signal);
    }
    return true;
  }

  close(): void {
    this.#closed.abort();
    this.#wake?.abort();
  }

  async #start(): Promise<void> {
    this.#starting ??= untraced(() => this.#log.frontier());
    try {
      const frontier = await this.#starting;
      if (this.#position !== undefined) return;
      this.#position = frontier;
      // Its spans belong to no call.
      untraced(() => void this.#run());
    } finally {
      this.#starting = undefined;
    }
  }

  /** Reads until there are no followers. */
  async #run(): Promise<void> {
    let failures = 0;
    let failedSinceMs: number | undefined;
    // The first follower is added after the start.
    await sleep(BLOCKED_POLL_MS, this.#closed.signal);
    while (this.#log.hasFollowers() && !this.#closed.signal.aborted) {
      try {
        const pauseMs = await this.#read();
        [failures, failedSinceMs] = [0, undefined];
        await this.#pause(pauseMs);
      } catch (fault) {
        const nowMs = this.#clock.monotonicMs();
        failedSinceMs ??= nowMs;
        if (nowMs - failedSinceMs >= OUTAGE_LIMIT_MS) this.#log.fail(fault);
        await sleep(backoffMs(RETRY, failures++), this.#closed.signal);
      }
    }
    this.#position = undefined;
  }

  /** Reads once. Returns the milliseconds until the next read. */
  async #read(): Promise<number> {
    const after = this.#position;
    if (after === undefined) return 0;
    this.#isWoken = false;
    const work = Promise.withResolvers<void>();
    this.#reading = work.promise;
    try {
      const { position, isMore, isBlocked } = await this.#log.read(after);
      this.#position = position;
      if (isMore) return 0;
      return isBlocked ? BLOCKED_POLL_MS : POLL_MS;
    } finally {
      this.#reading = undefined;
      work.resolve();
    }
  }

  async #pause(ms: number): Promise<void> {
    if (ms === 0) return;
    await sleep(Math.min(ms, MIN_PAUSE_MS), this.#closed.signal);
    if (ms <= MIN_PAUSE_MS || this.#isWoken) return;
    this.#wake = new AbortController();
    await sleep(ms, AbortSignal.any([this.#wake.signal, this.#closed.signal]));
    this.#wake = undefined;
  }
}
