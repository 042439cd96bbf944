import type { Semaphore } from "../../lib/limits/semaphore.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { machineNotFound } from "../machines/faults.ts";
import type { ChangeFeed } from "./change-feed.ts";
import {
  type ChangeLog,
  isKept,
  type LoggedChange,
  type WatchedMachine,
  type WatchFilter,
} from "./change-log.ts";
import { DatabaseReader } from "./database-reader.ts";
import { watchesBehind } from "./metrics.ts";
import { comparePositions, type Position, positionTooOld } from "./position.ts";
import type { Subscription } from "./subscription.ts";

/** A message of a watch. */
export interface WatchBatch {
  readonly changes: readonly Pick<LoggedChange, "machine" | "event">[];
  /** Where to resume. Undefined: the present states are not complete yet. */
  readonly position: Position | undefined;
}

export interface WatchParts {
  readonly apps: {
    /** @throws Fault `APP_NOT_FOUND` */
    get(name: string, org: string): Promise<unknown>;
  };
  readonly log: ChangeLog;
  readonly feed: ChangeFeed;
  /** Bounds the reads of all watches. */
  readonly reads: Semaphore;
  readonly clock: Pick<Clock, "monotonicMs">;
}

/** Changes in a message, each of a few KiB. */
const BATCH = 100;
const PAGE = 500;
/** A watch without changes sends its position so often that the log still has what follows it. */
const IDLE_MS = 60_000;
/** The same, until the first position was sent. */
const UNREACHED_MS = 500;
/** How long the first message waits for transactions under way. */
const REACH_MS = 250;
/** Time in which hosts may still report changes that are older than the states that were sent first. */
const REPORT_LAG_MS = 30_000;

/**
 * Yields the changes of machines, each once. A watch that is slower than its changes reads them from
 * the log at its own pace.
 *
 * @param after position of an earlier batch. Undefined: begins with the present states
 * @throws Fault `APP_NOT_FOUND`, `MACHINE_NOT_FOUND`, `POSITION_TOO_OLD`, `DATABASE_UNAVAILABLE` after 30 s
 */
export async function* watch(
  parts: WatchParts,
  filter: WatchFilter,
  after: Position | undefined,
  signal: AbortSignal,
): AsyncGenerator<WatchBatch> {
  const { feed } = parts;
  const reader = new DatabaseReader(parts, filter.org, signal);
  let subscription: Subscription | undefined;
  try {
    const sent = new SentMachines(parts.clock);
    await reader.read(() => checkFilter(parts, filter));
    if (after) await checkKept(parts, reader, after);
    subscription = await reader.read(() => feed.subscribe(filter));
    let at = after ?? subscription.from;
    let hasPosition = after !== undefined;
    if (!after) {
      yield* present(parts, filter, reader, sent, signal);
      hasPosition = sent.isCovered(feed.position);
      if (hasPosition) at = feed.position ?? at;
    }
    for (;;) {
      yield* missed(parts, filter, reader, sent, at, subscription.from);
      if (comparePositions(at, subscription.from) < 0) at = subscription.from;
      while (!subscription.isBehind) {
        const taken = await subscription.take(BATCH, hasPosition ? IDLE_MS : UNREACHED_MS, signal);
        if (signal.aborted) return;
        if (subscription.isBehind) break;
        // Without changes, all before the position of the feed were sent.
        const next = taken.at(-1)?.position ?? feed.position ?? at;
        const fresh = taken.filter(({ position }) => comparePositions(position, at) > 0);
        if (comparePositions(next, at) > 0) at = next;
        if (fresh.length === 0 && taken.length > 0) continue;
        const batch = sent.batch(fresh, at);
        hasPosition = batch.position !== undefined;
        yield batch;
      }
      watchesBehind.inc();
      feed.unsubscribe(subscription);
      subscription = await reader.read(() => feed.subscribe(filter));
    }
  } finally {
    if (subscription) feed.unsubscribe(subscription);
  }
}

/**
 * Yields the present states of machines. The last batch has a position unless a transaction is
 * still under way.
 */
async function* present(
  { log, feed }: WatchParts,
  filter: WatchFilter,
  reader: DatabaseReader,
  sent: SentMachines,
  signal: AbortSignal,
): AsyncGenerator<WatchBatch> {
  let page = await reader.read(() => log.present(filter, undefined, PAGE));
  for (;;) {
    sent.add(page.machines, page.endXid);
    const { machines, after } = page;
    for (let i = 0; i < machines.length - BATCH; i += BATCH) yield batchOf(machines.slice(i, i + BATCH));
    const last = machines.slice(Math.floor(Math.max(0, machines.length - 1) / BATCH) * BATCH);
    if (after === undefined) {
      const isReached = await feed.reach(sent.endXid, REACH_MS, signal);
      yield batchOf(last, isReached ? feed.position : undefined);
      return;
    }
    yield batchOf(last);
    page = await reader.read(() => log.present(filter, after, PAGE));
  }
}

function batchOf(machines: readonly WatchedMachine[], position?: Position): WatchBatch {
  return { changes: machines.map((machine) => ({ machine, event: undefined })), position };
}

/** Yields changes from the log. */
async function* missed(
  { log }: WatchParts,
  filter: WatchFilter,
  reader: DatabaseReader,
  sent: SentMachines,
  after: Position,
  until: Position,
): AsyncGenerator<WatchBatch> {
  for (let at = after; comparePositions(at, until) < 0; ) {
    const changes = await reader.read(() => log.readMissed(filter, at, until, BATCH));
    if (!changes) throw positionTooOld();
    const last = changes.at(-1);
    if (!last) return;
    at = last.position;
    yield sent.batch(changes, at);
    if (changes.length < BATCH) return;
  }
}

/** @throws Fault `APP_NOT_FOUND`, `MACHINE_NOT_FOUND` */
async function checkFilter({ apps, log }: WatchParts, filter: WatchFilter): Promise<void> {
  if (filter.app !== undefined) await apps.get(filter.app, filter.org);
  const missing = filter.machineIds && (await log.missing(filter));
  if (missing !== undefined) throw machineNotFound(missing);
}

/** @throws Fault `POSITION_TOO_OLD` */
async function checkKept({ log }: WatchParts, reader: DatabaseReader, after: Position): Promise<void> {
  if (!isKept(await reader.read(() => log.ends()), after)) throw positionTooOld();
}

/** Knows the states that a watch has sent first, and leaves out the changes that led to them. */
class SentMachines {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #generations = new Map<string, bigint>();
  #endXid = 0n;
  #sinceMs = 0;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** Number of the first transaction that is not part of the states. */
  get endXid(): bigint {
    return this.#endXid;
  }

  add(machines: readonly WatchedMachine[], endXid: bigint): void {
    for (const { id, generation } of machines) this.#generations.set(id, BigInt(generation));
    if (endXid > this.#endXid) this.#endXid = endXid;
    this.#sinceMs = this.#clock.monotonicMs();
  }

  isCovered(position: Position | undefined): boolean {
    return (position?.xid ?? 0n) >= this.#endXid;
  }

  batch(changes: readonly LoggedChange[], position: Position): WatchBatch {
    const newer = changes.filter(
      ({ machine }) => BigInt(machine.generation) > (this.#generations.get(machine.id) ?? -1n),
    );
    const isCovered = this.isCovered(position);
    if (isCovered && this.#generations.size > 0 && this.#clock.monotonicMs() - this.#sinceMs > REPORT_LAG_MS)
      this.#generations.clear();
    return { changes: newer, position: isCovered ? position : undefined };
  }
}
