import type { Clock } from "../../lib/runtime/clock.ts";
import { logger } from "../../lib/runtime/log.ts";
import { within } from "../../lib/runtime/wait.ts";
import type { HostStore } from "../hosts/host-store.ts";
import type { HostTable } from "../hosts/host-table.ts";
import type { Schedulers } from "../regions/schedulers.ts";
import type { Scope } from "../requests/scope.ts";
import { hostTo } from "./convert-hosts.ts";

/** How long each source may take, in milliseconds. */
const SOURCE_MS = 2_500;

/** What operators see of hosts: the scheduler's view of those attached to it, and what the table and the record know of the others. */
export class HostLists {
  readonly #table: HostTable;
  readonly #store: HostStore;
  readonly #schedulers: Pick<Schedulers, "regions" | "listHosts">;
  readonly #clock: Clock;

  constructor(
    table: HostTable,
    store: HostStore,
    schedulers: Pick<Schedulers, "regions" | "listHosts">,
    clock: Clock,
  ) {
    this.#table = table;
    this.#store = store;
    this.#schedulers = schedulers;
    this.#clock = clock;
  }

  /** All hosts by number. Whatever does not answer is left out, and said so. @param region empty for all */
  async list(region: string, scope: Scope): Promise<readonly ReturnType<typeof hostTo>[]> {
    const regions = this.#schedulers.regions().filter((each) => region === "" || each === region);
    const [views, recorded] = await Promise.all([
      Promise.all(
        regions.map((each) =>
          unlessDown(`the scheduler of ${each}`, () => this.#schedulers.listHosts(each, scope)),
        ),
      ),
      unlessDown("the record", () => this.#store.changedSince(undefined)),
    ]);
    const silent = new Set(regions.filter((_, i) => views[i] === undefined));
    const missingIn = (of: string) => [
      ...(silent.has(of) ? ["the scheduler did not answer: not known whether it is attached"] : []),
      ...(recorded ? [] : ["the record did not answer"]),
    ];
    for (const entry of recorded?.entries ?? []) this.#table.learn(entry);
    const known = new Map(this.#table.all().map((entry) => [entry.number, entry]));
    const present = new Map(
      views
        .flatMap((view) => view ?? [])
        .flatMap((host) => (host.info ? [[host.info.number, host] as const] : [])),
    );
    const numbers = [...new Set([...known.keys(), ...present.keys()])].sort((a, b) => a - b);
    const now = this.#clock.now();
    return numbers
      .map((number) => {
        const [entry, attached] = [known.get(number), present.get(number)];
        const missing = missingIn(attached?.info?.region ?? entry?.region ?? "");
        return hostTo({ number, entry, attached, missing }, now);
      })
      .filter((host) => region === "" || host.region === region);
  }
}

async function unlessDown<T>(what: string, ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await within(SOURCE_MS, `asking ${what}`, ask);
  } catch (error) {
    logger.warn("a source of hosts did not answer", { source: what, error });
    return undefined;
  }
}
