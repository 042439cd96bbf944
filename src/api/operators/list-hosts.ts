import { logger } from "../../lib/runtime/log.ts";
import { within } from "../../lib/runtime/wait.ts";
import type { HostStore } from "../hosts/host-store.ts";
import type { HostTable } from "../hosts/host-table.ts";
import type { Schedulers } from "../regions/schedulers.ts";
import type { CallLimits } from "../requests/caller.ts";
import type { HostFacts } from "./convert-hosts.ts";

const SOURCE_TIMEOUT_MS = 2_500;

export interface HostSources {
  readonly table: HostTable;
  readonly hostStore: HostStore;
  readonly schedulers: Schedulers;
}

/**
 * Lists hosts by number: attached ones as their schedulers see them, the others from the table and
 * the database. Sources that do not answer are named in `missing`. An empty region means all.
 */
export async function listHosts(
  { table, hostStore, schedulers }: HostSources,
  region: string,
  limits: CallLimits,
): Promise<readonly HostFacts[]> {
  const regions = schedulers.regions().filter((each) => region === "" || each === region);
  const [answers, stored] = await Promise.all([
    Promise.all(
      regions.map((each) =>
        unlessDown(`the scheduler of ${each}`, () => schedulers.of(each).listHosts(limits)),
      ),
    ),
    unlessDown("the database", () => hostStore.changedSince(undefined)),
  ]);
  const silent = new Set(regions.filter((_, i) => answers[i] === undefined));
  for (const entry of stored?.entries ?? []) table.learn(entry);
  const entries = new Map(table.all().map((entry) => [entry.number, entry]));
  const attachedHosts = new Map(
    answers
      .flatMap((hosts) => hosts ?? [])
      .flatMap((host) => (host.info ? [[host.info.number, host] as const] : [])),
  );
  return [...new Set([...entries.keys(), ...attachedHosts.keys()])]
    .sort((a, b) => a - b)
    .map((number) => {
      const [entry, attached] = [entries.get(number), attachedHosts.get(number)];
      const hostRegion = attached?.info?.region ?? entry?.region ?? "";
      const missing = [
        ...(silent.has(hostRegion) ? ["the scheduler did not answer: not known whether it is attached"] : []),
        ...(stored ? [] : ["the database did not answer"]),
      ];
      return { number, region: hostRegion, entry, attached, missing };
    })
    .filter((host) => region === "" || host.region === region);
}

async function unlessDown<T>(source: string, ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await within(SOURCE_TIMEOUT_MS, `asking ${source}`, ask);
  } catch (error) {
    logger.warn("a source of hosts did not answer", { source, error });
    return undefined;
  }
}
