import type { AbuseJob } from "./abuse.ts";
import type { AbuserOrg, NeighboursWorld } from "./world.ts";

/** What an abuser does. */
export interface Abuser {
  /** The row's name. */
  readonly name: string;
  /** Prepares the abuser's machines and images; returns what its process is to do. */
  prepare(org: AbuserOrg, world: NeighboursWorld): Promise<AbuseJob>;
  /** Whether creates of images that no host has are measured too. */
  readonly slowsCreates?: boolean;
}

const KB = 1_024;
/** More than the streams that one connection carries. */
const WAITS = 10_050;
const WATCHED_STARTS = 16;
const LIST_MACHINES = 50;
/** Fills a machine's log. */
const LOG_LINES = 200_000;
const SLOW_IMAGES = 64;

/** One for each thing that an organisation can do to others. The last is what lasts longest. */
export const ABUSERS: readonly Abuser[] = [
  {
    name: "waits",
    prepare: async (org) => {
      const ids = await org.machines(1);
      for (const id of ids) await org.clients.start(id);
      return { kind: "waits", ids, count: WAITS };
    },
  },
  {
    name: "watched_starts",
    prepare: async (org) => ({
      kind: "watched_starts",
      ids: await org.machines(WATCHED_STARTS),
      atOnce: WATCHED_STARTS,
    }),
  },
  {
    name: "start_flood",
    prepare: async (org) => ({ kind: "start_flood", ids: await org.machines(64), atOnce: 64 }),
  },
  {
    name: "failing_creates",
    prepare: async (org, { fleet }) => {
      const env = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`V${i}`, "x".repeat(KB - 64)]));
      const image = `${fleet.services.registry}/bench/none:1`;
      return { kind: "failing_creates", app: org.name, image, env, atOnce: 64 };
    },
    slowsCreates: true,
  },
  {
    name: "tails",
    prepare: async (org) => ({ kind: "tails", ids: await machinesWithLogs(org), atOnce: 32 }),
  },
  {
    name: "whole_logs",
    prepare: async (org) => ({ kind: "whole_logs", ids: await machinesWithLogs(org), atOnce: 32 }),
  },
  {
    name: "lists",
    prepare: async (org) => {
      const metadata = Object.fromEntries(
        Array.from({ length: 25 }, (_, i) => [`k${i}`, "x".repeat(2 * KB - 64)]),
      );
      await org.machines(LIST_MACHINES, { metadata });
      return { kind: "lists", atOnce: 16 };
    },
  },
  {
    name: "open_methods",
    prepare: async (_, { fleet: { services } }) => {
      const [region] = services.regions;
      const [host] = services.hosts;
      const scheduler = region?.schedulers[0]?.address;
      const addresses = [region?.api, scheduler, host?.hostd, host?.imagecache];
      return { kind: "open_methods", addresses: addresses.filter((each) => each !== undefined) };
    },
  },
  {
    name: "slow_pulls",
    prepare: async (org, world) => ({
      ...{ kind: "slow_pulls", app: org.name, images: world.slowImages(SLOW_IMAGES), atOnce: 16 },
    }),
    slowsCreates: true,
  },
];

/** Returns machines that have written all the lines that are kept. */
async function machinesWithLogs(org: AbuserOrg): Promise<string[]> {
  const ids = await org.machines(4, { init: { exec: ["sim-log", String(LOG_LINES)] } });
  for (const id of ids) await org.clients.start(id);
  return ids;
}
