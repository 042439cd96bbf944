import { setTimeout as delay } from "node:timers/promises";
import { type Run, timed } from "../lib/benchmark.ts";
import { startUnwatched } from "../lib/fleet.ts";
import { median } from "../lib/report/percentiles.ts";
import { number, table } from "../lib/report/table.ts";
import { PAIRS, REGIONS, roundTripMs } from "./distances.ts";
import type { RegionsWorld } from "./world.ts";

/** Starts of a pair before the first that counts, for Node to compile code. */
const WARM_UP = 3;
/** An api that has restarted has all its connections after this time. */
const CONNECTED_MS = 1_500;

/** Samples by pair of regions, e.g. `ord_gru`. */
type Samples = ReadonlyMap<string, readonly number[]>;

/** Measures starts and creates by the api of each region, for machines of each region. */
export async function measureLatencies(world: RegionsWorld, run: Run): Promise<void> {
  const { report, runs } = run;
  world.setDistance((_, from, to) => roundTripMs(from, to));
  const machines = new Map<string, string>();
  const creates = await ofPairs(async (from, to) => {
    const create = async () => void machines.set(to, (await world.create(from, to)).id);
    return await run.repeat(`creates from ${from} to ${to}`, Math.ceil(runs / 4), () => timed(create));
  });
  const start = async (from: string, to: string) => {
    const id = machines.get(to) ?? "";
    const ms = await timed(() => startUnwatched(world.api(from), id));
    await world.api(to).stop(id);
    return ms;
  };
  const starts = await ofPairs((from, to) =>
    run.repeat(`starts from ${from} to ${to}`, runs, () => start(from, to), WARM_UP),
  );
  const beyond = (isFar: boolean) =>
    PAIRS.filter(([from, to]) => (from !== to) === isFar).flatMap(([from, to]) =>
      (starts.get(`${from}_${to}`) ?? []).map((ms) => ms - roundTripMs(from, to)),
    );
  report.addTimes({
    start_within_a_region: beyond(false),
    start_beyond_the_round_trip: beyond(true),
    first_start_beyond_the_round_trip: [await firstStart(world, run, start)],
  });
  for (const [pair, samples] of starts) report.add(`start_${pair}`, "ms", samples);
  for (const [pair, samples] of creates) report.add(`create_${pair}`, "ms", samples);
  const axes = "down the api that is asked, across the machine's region";
  report.section(`Start, p50 in ms: ${axes}`, matrix(starts));
  report.section(`Create (image local, not started), p50 in ms: ${axes}`, matrix(creates));
}

async function ofPairs(measure: (from: string, to: string) => Promise<readonly number[]>): Promise<Samples> {
  const samples = new Map<string, readonly number[]>();
  for (const [from, to] of PAIRS) samples.set(`${from}_${to}`, await measure(from, to));
  return samples;
}

/** Measures the first start by an api that has restarted: it connects before it is asked. */
function firstStart(
  world: RegionsWorld,
  { progress, signal }: Run,
  start: (from: string, to: string) => Promise<number>,
): Promise<number> {
  const [from, to] = REGIONS;
  return progress.step("the first start of an api", async () => {
    await world.fleet.services.restart("api");
    await delay(CONNECTED_MS, undefined, { signal });
    return (await start(from, to)) - roundTripMs(from, to);
  });
}

function matrix(samples: Samples): readonly string[] {
  const cell = (from: string, to: string) =>
    `${number(median(samples.get(`${from}_${to}`) ?? []))} (${roundTripMs(from, to)})`;
  const rows = REGIONS.map((from) => [from, ...REGIONS.map((to) => cell(from, to))]);
  return [...table([["", ...REGIONS], ...rows]), "in brackets: the round trip between the two"];
}
