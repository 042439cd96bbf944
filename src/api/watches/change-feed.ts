import type { Clock } from "../../lib/runtime/clock.ts";
import type { ChangeLog, WatchFilter } from "./change-log.ts";
import { type FollowedLog, LogFollower, type ReadResult } from "./log-follower.ts";
import { laterPosition, type Position } from "./position.ts";
import { Subscription } from "./subscription.ts";

const READ_LIMIT = 500;

/** Reads the log of changes once for all watches of this api, while there are any. */
export class ChangeFeed implements FollowedLog {
  readonly #log: Pick<ChangeLog, "ends" | "read">;
  readonly #follower: LogFollower;
  readonly #byOrg = new Map<string, Set<Subscription>>();

  constructor(log: Pick<ChangeLog, "ends" | "read">, clock: Pick<Clock, "monotonicMs">) {
    this.#log = log;
    this.#follower = new LogFollower(this, clock);
  }

  /** Open watches. */
  get size(): number {
    return [...this.#byOrg.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Position up to which every subscription has its changes. Undefined: nobody watches. */
  get position(): Position | undefined {
    return this.#follower.position;
  }

  /** Subscribes to the changes from now on. @throws Fault `DATABASE_UNAVAILABLE` */
  subscribe(filter: WatchFilter): Promise<Subscription> {
    return this.#follower.add((from) => {
      const subscription = new Subscription(filter, from);
      const ofOrg = this.#byOrg.get(filter.org) ?? new Set();
      ofOrg.add(subscription);
      this.#byOrg.set(filter.org, ofOrg);
      return subscription;
    });
  }

  unsubscribe(subscription: Subscription): void {
    const { org } = subscription.filter;
    const ofOrg = this.#byOrg.get(org);
    ofOrg?.delete(subscription);
    if (ofOrg?.size === 0) this.#byOrg.delete(org);
  }

  /** Reads at once, e.g. because this api has stored changes. */
  wake(): void {
    this.#follower.wake();
  }

  /** See {@link LogFollower.reach}. */
  reach(xid: bigint, ms: number, signal: AbortSignal): Promise<boolean> {
    return this.#follower.reach(xid, ms, signal);
  }

  close(): void {
    this.#follower.close();
  }

  hasFollowers(): boolean {
    return this.#byOrg.size > 0;
  }

  async frontier(): Promise<Position> {
    return (await this.#log.ends()).frontier;
  }

  async read(after: Position): Promise<ReadResult> {
    const orgs = [...this.#byOrg.keys()];
    const { changes, frontier, nextXid } = await this.#log.read(after, orgs, READ_LIMIT);
    for (const change of changes) {
      for (const each of this.#byOrg.get(change.org) ?? []) if (each.matches(change)) each.add(change);
    }
    const isMore = changes.length === READ_LIMIT;
    const last = changes.at(-1)?.position;
    const position = isMore && last ? last : laterPosition(after, frontier);
    return { position, isMore, isBlocked: frontier.xid < nextXid };
  }

  fail(fault: unknown): void {
    for (const subscriptions of this.#byOrg.values()) for (const each of subscriptions) each.fail(fault);
  }
}
