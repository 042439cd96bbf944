import type { AttachedHost, ListReservationsResponse } from "../../gen/windhover/scheduler/v1/scheduler.ts";
import type { TokenSource } from "../../lib/auth/tokens.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import type { Auctions } from "../creates/steps/context.ts";
import type { Scope } from "../requests/scope.ts";
import { Scheduler, schedulerUnavailable } from "./scheduler-client.ts";

/** A replica of a region's scheduler. */
export interface SchedulerAddress {
  readonly region: string;
  readonly address: string;
}

/** The schedulers of all regions. */
export class Schedulers {
  readonly #schedulers: ReadonlyMap<string, Scheduler>;

  /** @param addresses several of a region are its replicas */
  constructor(addresses: readonly SchedulerAddress[], token: TokenSource, clock: Clock) {
    const byRegion = Map.groupBy(addresses, ({ region }) => region);
    this.#schedulers = new Map(
      [...byRegion].map(([region, replicas]) => [
        region,
        new Scheduler(region, [...new Set(replicas.map(({ address }) => address))], token, clock),
      ]),
    );
  }

  /** The regions that machines can be placed in, in the order they were configured. */
  regions(): readonly string[] {
    return [...this.#schedulers.keys()];
  }

  /** A region's auctions. @throws Fault `SCHEDULER_UNAVAILABLE` when it has no scheduler here: an api that was configured otherwise began this */
  in(region: string): Auctions {
    return this.#of(region);
  }

  /** The hosts attached in a region. @throws Fault `SCHEDULER_UNAVAILABLE` */
  async listHosts(region: string, scope: Scope): Promise<readonly AttachedHost[]> {
    return this.#of(region).listHosts(scope);
  }

  /**
   * The reservations of a region that live, the first to expire first, and how many there are in all.
   *
   * @param pageSize at most so many, 1 to 1000
   * @throws Fault `SCHEDULER_UNAVAILABLE`
   */
  async listReservations(region: string, pageSize: number, scope: Scope): Promise<ListReservationsResponse> {
    return this.#of(region).listReservations(pageSize, scope);
  }

  /** Connects to all, ahead of the first call. To be called again and again. */
  keepConnected(): void {
    for (const scheduler of this.#schedulers.values()) scheduler.keepConnected();
  }

  /** Hangs up. */
  close(): void {
    for (const scheduler of this.#schedulers.values()) scheduler.close();
  }

  #of(region: string): Scheduler {
    const scheduler = this.#schedulers.get(region);
    if (scheduler) return scheduler;
    const cause = new Fault("UNAVAILABLE", "NO_SCHEDULER", `no scheduler of ${region} is configured`);
    throw schedulerUnavailable(region, cause);
  }
}
