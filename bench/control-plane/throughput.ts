import { abortable } from "../../src/lib/runtime/abort.ts";
import type { Run } from "../lib/benchmark.ts";
import { Child } from "../lib/child.ts";
import { APP, type BenchFleet } from "../lib/fleet.ts";
import { cpuMs } from "../lib/measure/cpu.ts";
import { median } from "../lib/report/percentiles.ts";
import { number, table } from "../lib/report/table.ts";
import type { LoadFunctions, LoadJob } from "./load.ts";

/** Calls under way at any moment. */
const WIDTHS = [16, 64, 128] as const;
/** Many more than are under way, so that the begin and the end of a round matter little. */
const MACHINES = 512;
/** Creates are some ten times slower, so there are fewer for each figure. */
const CREATES_EACH = 128;
/** Rounds before the first that counts, for connections and for Node to compile code. */
const WARM_UP_ROUNDS = 2;

const PROCESSES = ["client", "api", "hostd", "scheduler", "traces"] as const;
/** Processor time of each, in milliseconds; `hostd` is of all hosts together. */
type Cpu = Readonly<Record<(typeof PROCESSES)[number], number>>;

/** Measures times, rates and processor times of many creates and starts at once. */
export async function measureThroughput(fleet: BenchFleet, run: Run): Promise<void> {
  const { report, progress, signal } = run;
  const rounds = run.scaled(50, 4);
  await using load = new Child<LoadFunctions>(new URL("./load.ts", import.meta.url));
  const { api, token } = fleet.services;
  await load.functions.connect(api, token);
  const work = (job: LoadJob) => abortable(load.functions.run(job), signal);
  const cpu = () => readCpu(fleet, load.pid);
  const ids: string[] = [];
  const createRates: number[][] = [];
  const startRates: number[][] = [];
  const costs: [string, Cpu][] = [];

  await progress.step("creates at once", async (say) => {
    for (const atOnce of WIDTHS) {
      say(`${atOnce} at once`);
      const count = atOnce === WIDTHS[0] ? MACHINES - CREATES_EACH * (WIDTHS.length - 1) : CREATES_EACH;
      const before = cpu();
      const made = await work({ kind: "create", app: APP, image: fleet.image, atOnce, count });
      const after = cpu();
      costs.push([`create at ${atOnce}`, mapCpu((each) => (after[each] - before[each]) / count)]);
      ids.push(...made.ids);
      createRates.push([(1_000 * count) / made.wallMs]);
      report.add(`create_at_${atOnce}`, "ms", made.ms);
      report.add(`creates_per_second_at_${atOnce}`, "1/s", createRates.at(-1) ?? []);
    }
  });
  await progress.step("starts at once", async (say) => {
    for (const atOnce of WIDTHS) {
      const ms: number[] = [];
      const rates: number[] = [];
      const spent: Cpu[] = [];
      for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
        say(`${atOnce} at once, round ${Math.max(0, round + 1)} of ${rounds}`);
        const before = cpu();
        const started = await work({ kind: "start", atOnce, ids });
        const after = cpu();
        await work({ kind: "stop", atOnce: WIDTHS[0], ids });
        if (round < 0) continue;
        ms.push(...started.ms);
        rates.push((1_000 * ids.length) / started.wallMs);
        spent.push(mapCpu((each) => (after[each] - before[each]) / ids.length));
      }
      startRates.push(rates);
      report.add(`start_at_${atOnce}`, "ms", ms);
      report.add(`starts_per_second_at_${atOnce}`, "1/s", rates);
      const mean = mapCpu((each) => spent.reduce((sum, of) => sum + of[each], 0) / spent.length);
      costs.push([`start at ${atOnce}`, mean]);
    }
  });
  await progress.step("destroys", () => work({ kind: "destroy", atOnce: WIDTHS[0], ids }));
  report.add("starts_per_second", "1/s", best(startRates));
  report.add("creates_per_second", "1/s", best(createRates));
  report.note("starts_per_second, creates_per_second: at the width with the highest median rate");
  report.note(`${MACHINES} machines, each started once a round; rates are those of rounds`);
  const body = costs.map(([name, cost]) => [name, ...PROCESSES.map((each) => number(cost[each]))]);
  const title = "What one operation costs in processor time, in ms (hostd: all hosts together)";
  report.section(title, table([["", ...PROCESSES], ...body]));
}

/** Returns the rates of the width with the highest median. */
function best(rates: readonly (readonly number[])[]): readonly number[] {
  return rates.toSorted((a, b) => median(b) - median(a))[0] ?? [];
}

function readCpu({ services }: BenchFleet, client: number): Cpu {
  const hosts = services.hosts.map(({ number }) => `hostd-${number}`);
  const of = (...parts: string[]) => parts.reduce((sum, part) => sum + cpuMs(services.pid(part) ?? 0), 0);
  return mapCpu((each) => (each === "client" ? cpuMs(client) : each === "hostd" ? of(...hosts) : of(each)));
}

function mapCpu(map: (each: keyof Cpu) => number): Cpu {
  return Object.fromEntries(PROCESSES.map((each) => [each, map(each)])) as Cpu;
}
