import { UserError } from "../../tools/lib/errors.ts";
import { type Listener, splitAddress, withMetrics } from "./ports.ts";

/** A region of a fleet, without its hosts. */
export interface RegionSettings {
  readonly region: string;
  readonly api: string;
  /** Of the same process. */
  readonly rest: string;
  readonly apiMetrics: string;
  /** Where it takes connections for apps. */
  readonly proxy: string;
  /** The same with TLS, when there are certificates. */
  readonly proxyTls: string;
  readonly proxyMetrics: string;
  /** Replicas; hosts attach to all, and they share the region's Redis. At least one. */
  readonly schedulers: readonly { readonly address: string; readonly metrics: string }[];
}

/** The addresses of a fleet's first region. */
export interface FirstAddresses {
  readonly api: string;
  readonly rest: string;
  /** Undefined: unix sockets. */
  readonly scheduler: string | undefined;
  readonly apiMetrics: string;
  readonly schedulerMetrics: string;
  readonly proxy: string;
  readonly proxyTls: string;
  readonly proxyMetrics: string;
}

/** How much higher each further region's ports are. Hosts' ports lie in between. */
const REGION_STEP = 200;
/** Regions from this one on are higher by half a step more: the first proxy's port is among those of the sixth. */
const FIRST_MOVED_REGION = 5;
const MAX_REGIONS = 8;
const MAX_SCHEDULERS = 8;
const REGION_NAME = /^[a-z][a-z0-9-]{0,31}$/;

/**
 * Gives the regions of the local fleet their addresses: the first has these, each further one
 * {@link REGION_STEP} ports above, its proxy at the next port; a scheduler's further replicas are at the ports after it.
 *
 * @param socketOf the address of a part's unix socket
 * @throws UserError for wrong names and numbers
 */
export function regionSettings(
  regions: readonly string[],
  schedulers: number,
  first: FirstAddresses,
  socketOf: (part: string) => string,
): readonly RegionSettings[] {
  if (regions.length < 1 || regions.length > MAX_REGIONS || new Set(regions).size < regions.length)
    throw new UserError(`--regions takes 1 to ${MAX_REGIONS} different names, e.g. --regions ord,gru.`);
  for (const region of regions) {
    if (!REGION_NAME.test(region))
      throw new UserError(`--regions takes names of lower-case letters and digits; "${region}" is none.`);
  }
  if (!Number.isInteger(schedulers) || schedulers < 1 || schedulers > MAX_SCHEDULERS)
    throw new UserError(`--schedulers takes a number from 1 to ${MAX_SCHEDULERS}.`);
  return regions.map((region, index) => ({
    region,
    api: moved(first.api, stepOf(index)),
    rest: moved(first.rest, stepOf(index)),
    apiMetrics: moved(first.apiMetrics, stepOf(index)),
    proxy: moved(first.proxy, index),
    proxyTls: moved(first.proxyTls, index),
    proxyMetrics: moved(first.proxyMetrics, stepOf(index)),
    schedulers: Array.from({ length: schedulers }, (_, replica) => ({
      address:
        first.scheduler === undefined
          ? socketOf(partName("scheduler", region, replica))
          : moved(first.scheduler, stepOf(index) + replica),
      metrics: moved(first.schedulerMetrics, stepOf(index) + replica),
    })),
  }));
}

export function regionListeners(regions: readonly RegionSettings[]): readonly Listener[] {
  return regions.flatMap(({ region, api, rest, apiMetrics, proxy, proxyMetrics, schedulers }, index) => {
    const name = (part: string, replica = 0) => partName(part, index === 0 ? undefined : region, replica);
    return [
      ...withMetrics(name("api"), [api, apiMetrics], ["API_LISTEN", "API_METRICS_LISTEN"]),
      { part: `REST of ${name("api")}`, address: rest, variable: "API_REST_LISTEN" },
      ...withMetrics(name("proxy"), [proxy, proxyMetrics], ["PROXY_LISTEN", "PROXY_METRICS_LISTEN"]),
      ...schedulers.flatMap(({ address, metrics }, replica) =>
        withMetrics(
          name("scheduler", replica),
          [address, metrics],
          ["SCHEDULER_LISTEN", "SCHEDULER_METRICS_LISTEN"],
        ),
      ),
    ];
  });
}

/**
 * Names a part of a region: `scheduler`, `scheduler-2`, `scheduler-gru`, `scheduler-gru-2`. The
 * first region is not named, so that a fleet that gets a second one finds everything where it was.
 *
 * @param region undefined: the first
 */
export function partName(part: string, region: string | undefined, replica = 0): string {
  return [part, ...(region === undefined ? [] : [region]), ...(replica === 0 ? [] : [replica + 1])].join("-");
}

/** How much higher a region's ports are than the first's. */
function stepOf(index: number): number {
  return index * REGION_STEP + (index >= FIRST_MOVED_REGION ? REGION_STEP / 2 : 0);
}

function moved(address: string, by: number): string {
  const { host, port } = splitAddress(address);
  return `${host}:${port + by}`;
}
