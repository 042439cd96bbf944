import { StartMachineRequest } from "../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../src/lib/grpc/client.ts";
import type { Clients, Machine } from "../../test/support/clients.ts";
import type { Progress } from "../../tools/lib/progress.ts";
import { summarize } from "../lib/percentiles.ts";
import type { Report } from "../lib/report.ts";
import { number, table } from "../lib/table.ts";
import { asOnEarth, REGIONS, roundTripMs } from "./distances.ts";
import type { RegionsWorld } from "./world.ts";

const TIMEOUT_MS = 30_000;
/** What a pair's first requests pay for: code that is not yet compiled. */
const WARM_UP = 3;
/** Long enough for an api that has just come back to have all its connections. */
const CONNECTED_MS = 1_500;

/** Starts and creates for every pair of regions: asked of the api of one, from beside it, for a machine of the other. */
export async function measureLatencies(
  world: RegionsWorld,
  runs: number,
  report: Report,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  world.apart(asOnEarth);
  const starts = new Map<string, number[]>();
  const creates = new Map<string, number[]>();
  const machines = await progress.step("creates", async (say) => {
    const made = new Map<string, Machine>();
    for (const [from, to] of pairs()) {
      say(`${from} to ${to}`);
      for (let run = -1; run < Math.ceil(runs / 4); run++) {
        signal.throwIfAborted();
        const startedAt = performance.now();
        const machine = await world.create(from, to);
        if (run >= 0) push(creates, `${from} ${to}`, performance.now() - startedAt);
        made.set(to, machine);
      }
    }
    return made;
  });
  await progress.step("starts", async (say) => {
    for (const [from, to] of pairs()) {
      say(`${from} to ${to}`);
      const id = machines.get(to)?.id ?? "";
      for (let run = -WARM_UP; run < runs; run++) {
        signal.throwIfAborted();
        const ms = await startAtOnce(world.api(from), id);
        await world.api(to).stop(id);
        if (run >= 0) push(starts, `${from} ${to}`, ms);
      }
    }
  });
  const beyond = pairs().flatMap(([from, to]) =>
    (starts.get(`${from} ${to}`) ?? []).map((ms) => ({ isFar: from !== to, ms: ms - roundTripMs(from, to) })),
  );
  const only = (isFar: boolean) => beyond.filter((each) => each.isFar === isFar).map(({ ms }) => ms);
  report.add("start_within_a_region", "ms", only(false));
  report.add("start_beyond_the_round_trip", "ms", only(true));
  await measureFirstStart(world, machines, report, progress);
  for (const [from, to] of pairs())
    report.add(`start_${from}_${to}`, "ms", starts.get(`${from} ${to}`) ?? []);
  for (const [from, to] of pairs())
    report.add(`create_${from}_${to}`, "ms", creates.get(`${from} ${to}`) ?? []);
  report.section("Start, p50 in ms: down the api that is asked, across the machine's region", matrix(starts));
  report.section(
    "Create (image local, not started), p50 in ms: down the api that is asked, across the machine's region",
    matrix(creates),
  );
}

/** The first start that an api does after it has come back: connections are there before anybody asks. */
async function measureFirstStart(
  world: RegionsWorld,
  machines: ReadonlyMap<string, Machine>,
  report: Report,
  progress: Progress,
): Promise<void> {
  const [from, to] = REGIONS;
  const id = machines.get(to)?.id ?? "";
  const samples = await progress.step("the first start of an api", async () => {
    await world.fleet.restart("api");
    await new Promise((resolve) => setTimeout(resolve, CONNECTED_MS));
    const ms = await startAtOnce(world.api(from), id);
    await world.api(to).stop(id);
    return [ms - roundTripMs(from, to)];
  });
  report.add("first_start_beyond_the_round_trip", "ms", samples);
}

/** Starts without watching the process for a moment afterwards: that would be no work of the control plane. */
async function startAtOnce(clients: Clients, machineId: string): Promise<number> {
  const { machines } = clients.raw;
  const request = StartMachineRequest.fromPartial({ machineId, watch: { seconds: 0n, nanos: 0 } });
  const startedAt = performance.now();
  await call(machines, machines.startMachine, request, { timeoutMs: TIMEOUT_MS });
  return performance.now() - startedAt;
}

function pairs(): readonly (readonly [from: string, to: string])[] {
  return REGIONS.flatMap((from) => REGIONS.map((to) => [from, to] as const));
}

function matrix(samples: ReadonlyMap<string, readonly number[]>): readonly string[] {
  const cell = (from: string, to: string) => {
    const of = samples.get(`${from} ${to}`) ?? [];
    const far = roundTripMs(from, to);
    return of.length === 0 ? "" : `${number(summarize("", "ms", of).p50)} (${far})`;
  };
  return [
    ...table([["", ...REGIONS], ...REGIONS.map((from) => [from, ...REGIONS.map((to) => cell(from, to))])]),
    "in brackets: the round trip between the two",
  ];
}

function push(map: Map<string, number[]>, key: string, value: number): void {
  map.set(key, [...(map.get(key) ?? []), value]);
}
