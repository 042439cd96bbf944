import type { TokenSource } from "../../lib/auth/tokens.ts";
import { Fault } from "../../lib/faults/fault.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { SchedulerClient, schedulerUnavailable } from "./scheduler-client.ts";

export interface SchedulerAddress {
  readonly region: string;
  readonly address: string;
}

export class Schedulers {
  readonly #clients: ReadonlyMap<string, SchedulerClient>;

  /** @param addresses several addresses of one region are its replicas */
  constructor(addresses: readonly SchedulerAddress[], token: TokenSource, clock: Clock) {
    const byRegion = Map.groupBy(addresses, ({ region }) => region);
    this.#clients = new Map(
      [...byRegion].map(([region, replicas]) => [
        region,
        new SchedulerClient(
          region,
          replicas.map(({ address }) => address),
          token,
          clock,
        ),
      ]),
    );
  }

  regions(): readonly string[] {
    return [...this.#clients.keys()];
  }

  /** @throws Fault `SCHEDULER_UNAVAILABLE` when the region has none here */
  of(region: string): SchedulerClient {
    const client = this.#clients.get(region);
    if (client) return client;
    const cause = new Fault("UNAVAILABLE", "NO_SCHEDULER", `no scheduler of ${region} is configured`);
    throw schedulerUnavailable(region, cause);
  }

  keepConnected(): void {
    for (const client of this.#clients.values()) client.keepConnected();
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }
}
