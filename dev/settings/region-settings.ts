import { UserError } from "../../tools/lib/main.ts";
import { type Listener, splitAddress } from "./ports.ts";

/** A region of a fleet: what it has besides hosts. */
export interface RegionSettings {
  readonly region: string;
  readonly api: string;
  /** Where it tells Prometheus how it does. */
  readonly apiMetrics: string;
  /** Replicas; hosts attach to all, and share the region's Redis. At least one. */
  readonly schedulers: readonly SchedulerSettings[];
}

/** A replica of a region's scheduler. */
export interface SchedulerSettings {
  readonly address: string;
  readonly metrics: string;
}

/** The addresses of a fleet's first region. */
export interface FirstAddresses {
  readonly api: string;
  readonly scheduler: string;
  readonly apiMetrics: string;
  readonly schedulerMetrics: string;
}

/** Each further region's ports are so much higher: hosts lie between the first region's and the second's. */
export const REGION_STEP = 200;
const MOST_REGIONS = 8;
const MOST_SCHEDULERS = 8;
const REGION_NAME = /^[a-z][a-z0-9-]{0,31}$/;

/**
 * The regions of the fleet of `npm start`: the first at these addresses, every further one {@link REGION_STEP} ports above the one before; a
 * scheduler's further replicas at the ports after it.
 *
 * @throws UserError for names and numbers that will not do
 */
export function regionSettings(
  regions: readonly string[],
  schedulers: number,
  first: FirstAddresses,
): readonly RegionSettings[] {
  if (regions.length < 1 || regions.length > MOST_REGIONS || new Set(regions).size < regions.length)
    throw new UserError(`--regions takes 1 to ${MOST_REGIONS} different names, e.g. --regions ord,gru.`);
  for (const region of regions) {
    if (!REGION_NAME.test(region))
      throw new UserError(`--regions takes names of lower-case letters and digits; "${region}" is none.`);
  }
  if (!Number.isInteger(schedulers) || schedulers < 1 || schedulers > MOST_SCHEDULERS)
    throw new UserError(`--schedulers takes a number from 1 to ${MOST_SCHEDULERS}.`);
  return regions.map((region, index) => ({
    region,
    api: moved(first.api, index * REGION_STEP),
    apiMetrics: moved(first.apiMetrics, index * REGION_STEP),
    schedulers: Array.from({ length: schedulers }, (_, replica) => ({
      address: moved(first.scheduler, index * REGION_STEP + replica),
      metrics: moved(first.schedulerMetrics, index * REGION_STEP + replica),
    })),
  }));
}

/** The addresses that a region listens on, and what moves each. */
export function regionListeners(regions: readonly RegionSettings[]): readonly Listener[] {
  return regions.flatMap(({ region, api, apiMetrics, schedulers }, index) => {
    const name = (part: string, replica = 0) => partName(part, index === 0 ? undefined : region, replica);
    return [
      { part: name("api"), address: api, variable: "API_LISTEN" },
      { part: `metrics of ${name("api")}`, address: apiMetrics, variable: "API_METRICS_LISTEN" },
      ...schedulers.flatMap(({ address, metrics }, replica) => [
        { part: name("scheduler", replica), address, variable: "SCHEDULER_LISTEN" },
        {
          part: `metrics of ${name("scheduler", replica)}`,
          address: metrics,
          variable: "SCHEDULER_METRICS_LISTEN",
        },
      ]),
    ];
  });
}

/**
 * What a part of a region is called: `scheduler`, `scheduler-2`, `scheduler-gru`, `scheduler-gru-2`. The first region goes without saying, so that
 * a fleet that grows a second one finds everything of the first where it was.
 *
 * @param region undefined: the first
 */
export function partName(part: string, region: string | undefined, replica = 0): string {
  return [part, ...(region === undefined ? [] : [region]), ...(replica === 0 ? [] : [replica + 1])].join("-");
}

function moved(address: string, by: number): string {
  const { host, port } = splitAddress(address);
  return `${host}:${port + by}`;
}
