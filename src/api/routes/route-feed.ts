import { onAbort } from "../../lib/runtime/abort.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import type { ChangeLog } from "../watches/change-log.ts";
import { type FollowedLog, LogFollower, type ReadResult } from "../watches/log-follower.ts";
import { type Position, positionTooOld } from "../watches/position.ts";
import type { Routes } from "./route.ts";
import type { RouteLog } from "./route-log.ts";

/** Routes that wait for a proxy. When there are more, it reads them from the log. */
const MAX_QUEUED = 5_000;

/** Routes that have changed, and the position after them. */
export interface RouteBatch {
  readonly routes: Routes;
  readonly position: Position;
}

/** Queues the changes for one proxy. */
export class RouteSubscription {
  /** Changes after it are queued. */
  readonly from: Position;
  #queue: RouteBatch[] = [];
  #size = 0;
  #isBehind = false;
  #fault: unknown;
  #wake: () => void = () => {};

  constructor(from: Position) {
    this.from = from;
  }

  /** Whether more changes came than are queued. The queue is dropped then, and takes no more. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  add(batch: RouteBatch): void {
    if (this.#isBehind) return;
    this.#queue.push(batch);
    this.#size += sizeOf(batch.routes);
    if (this.#size > MAX_QUEUED) {
      this.#isBehind = true;
      this.#queue = [];
    }
    this.#wake();
  }

  fail(fault: unknown): void {
    this.#fault = fault;
    this.#wake();
  }

  /** Takes the first batch of the queue; waits up to `ms` for it. @throws the fault of `fail` */
  async take(ms: number, signal: AbortSignal): Promise<RouteBatch | undefined> {
    if (this.#queue.length === 0 && !this.#isBehind && this.#fault === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, ms);
      using _ = onAbort(signal, resolve);
      await promise;
      clearTimeout(timer);
    }
    if (this.#fault !== undefined) throw this.#fault;
    const batch = this.#queue.shift();
    if (batch) this.#size -= sizeOf(batch.routes);
    return batch;
  }
}

/** Reads the log of routes once for all proxies that watch at this api, while there are any. */
export class RouteFeed implements FollowedLog {
  readonly #ends: Pick<ChangeLog, "ends">;
  readonly #log: Pick<RouteLog, "read">;
  readonly #follower: LogFollower;
  readonly #subscriptions = new Set<RouteSubscription>();

  constructor(ends: Pick<ChangeLog, "ends">, log: Pick<RouteLog, "read">, clock: Pick<Clock, "monotonicMs">) {
    this.#ends = ends;
    this.#log = log;
    this.#follower = new LogFollower(this, clock);
  }

  /** Proxies that watch. */
  get size(): number {
    return this.#subscriptions.size;
  }

  /** Position up to which every subscription has its changes. Undefined: nobody watches. */
  get position(): Position | undefined {
    return this.#follower.position;
  }

  /** Subscribes to the changes from now on. @throws Fault `DATABASE_UNAVAILABLE` */
  subscribe(): Promise<RouteSubscription> {
    return this.#follower.add((from) => {
      const subscription = new RouteSubscription(from);
      this.#subscriptions.add(subscription);
      return subscription;
    });
  }

  unsubscribe(subscription: RouteSubscription): void {
    this.#subscriptions.delete(subscription);
  }

  /** Reads at once, e.g. because this api has stored changes. */
  wake(): void {
    this.#follower.wake();
  }

  close(): void {
    this.#follower.close();
  }

  hasFollowers(): boolean {
    return this.#subscriptions.size > 0;
  }

  async frontier(): Promise<Position> {
    return (await this.#ends.ends()).frontier;
  }

  async read(after: Position): Promise<ReadResult> {
    const changes = await this.#log.read(after);
    // Changes that it has not read are gone: after an outage of an hour, or a restore of the database.
    if (!changes) {
      const position = await this.frontier();
      for (const each of this.#subscriptions) each.fail(positionTooOld());
      return { position, isMore: false, isBlocked: false };
    }
    const { routes, position } = changes;
    if (sizeOf(routes) > 0) for (const each of this.#subscriptions) each.add({ routes, position });
    return changes;
  }

  fail(fault: unknown): void {
    for (const each of this.#subscriptions) each.fail(fault);
  }
}

function sizeOf({ apps, machines, hosts }: Routes): number {
  return apps.length + machines.length + hosts.length;
}
