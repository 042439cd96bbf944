import { untraced } from "../../lib/otel/untraced.ts";
import { type Backoff, backoffMs } from "../../lib/runtime/backoff.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import type { ChangeLog, WatchFilter } from "./change-log.ts";
import type { Position } from "./position.ts";
import { Subscription } from "./subscription.ts";

/** Between reads: changes that another api has stored are seen after it at the latest. */
const POLL_MS = 200;
/** Between reads while a transaction under way holds changes back. */
const BLOCKED_POLL_MS = 20;
/** Between reads at least, while changes come all the time. */
const MIN_PAUSE_MS = 5;
const READ_LIMIT = 500;
const RETRY: Backoff = { firstMs: 100, maxMs: 1_000 };
/** Time without the database after which watches fail. */
export const OUTAGE_LIMIT_MS = 30_000;

/** Reads the log of changes once for all watches of this api, while there are any. */
export class ChangeFeed {
  readonly #log: Pick<ChangeLog, "ends" | "read">;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #byOrg = new Map<string, Set<Subscription>>();
  readonly #closed = new AbortController();
  #starting: Promise<Position> | undefined;
  #position: Position | undefined;
  #reading: Promise<void> | undefined;
  #wake: AbortController | undefined;
  #isWoken = false;

  constructor(log: Pick<ChangeLog, "ends" | "read">, clock: Pick<Clock, "monotonicMs">) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Open watches. */
  get size(): number {
    return [...this.#byOrg.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Position up to which every subscription has its changes. Undefined: nobody watches. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** Subscribes to the changes from now on. @throws Fault `DATABASE_UNAVAILABLE` */
  async subscribe(filter: WatchFilter): Promise<Subscription> {
    for (;;) {
      if (this.#position === undefined) await this.#start();
      // A read under way is only for the organisations that are watched already.
      else if (this.#reading !== undefined) await this.#reading;
      else break;
    }
    const subscription = new Subscription(filter, this.#position);
    const ofOrg = this.#byOrg.get(filter.org) ?? new Set();
    ofOrg.add(subscription);
    this.#byOrg.set(filter.org, ofOrg);
    return subscription;
  }

  unsubscribe(subscription: Subscription): void {
    const { org } = subscription.filter;
    const ofOrg = this.#byOrg.get(org);
    ofOrg?.delete(subscription);
    if (ofOrg?.size === 0) this.#byOrg.delete(org);
  }

  /** Reads at once, e.g. because this api has stored changes. */
  wake(): void {
    this.#isWoken = true;
    this.#wake?.abort();
  }

  /**
   * Waits up to `ms` until subscriptions have all changes of transactions before `xid`. Returns
   * whether they do.
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
    this.#starting ??= untraced(() => this.#log.ends()).then(({ frontier }) => frontier);
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

  /** Reads until there are no subscriptions. */
  async #run(): Promise<void> {
    let failures = 0;
    let failedSinceMs: number | undefined;
    // The first subscription is made after the start.
    await sleep(BLOCKED_POLL_MS, this.#closed.signal);
    while (this.#byOrg.size > 0 && !this.#closed.signal.aborted) {
      try {
        const pauseMs = await this.#read();
        [failures, failedSinceMs] = [0, undefined];
        await this.#pause(pauseMs);
      } catch (fault) {
        const nowMs = this.#clock.monotonicMs();
        failedSinceMs ??= nowMs;
        if (nowMs - failedSinceMs >= OUTAGE_LIMIT_MS) this.#failAll(fault);
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
      const orgs = [...this.#byOrg.keys()];
      const { changes, frontier, nextXid } = await this.#log.read(after, orgs, READ_LIMIT);
      for (const change of changes) {
        for (const each of this.#byOrg.get(change.org) ?? []) if (each.matches(change)) each.add(change);
      }
      const isMore = changes.length === READ_LIMIT;
      const last = changes.at(-1)?.position;
      this.#position = isMore && last ? last : later(after, frontier);
      if (isMore) return 0;
      return frontier.xid < nextXid ? BLOCKED_POLL_MS : POLL_MS;
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

  #failAll(fault: unknown): void {
    for (const subscriptions of this.#byOrg.values()) for (const each of subscriptions) each.fail(fault);
  }
}

function later(a: Position, b: Position): Position {
  return b.xid > a.xid ? b : a;
}
