import type { Progress } from "../../tools/lib/progress.ts";
import { cpuMs } from "../lib/cpu.ts";
import { APP, type BenchFleet } from "../lib/fleet.ts";
import type { Report } from "../lib/report.ts";
import { number, table } from "../lib/table.ts";
import { LoadProcess } from "./load-process.ts";

/** How many calls are under way at any moment. */
const WIDTHS = [16, 64, 128] as const;
/** Many more than are under way, so that a round is mostly its middle. */
const MACHINES = 512;
/** Creates are some ten times slower: fewer of them for each figure. */
const CREATES_EACH = 128;
/** Of the first rounds nothing is counted: connections, code that is not compiled yet. */
const WARM_UP_ROUNDS = 2;
const MB_EACH = 256;

/** A process, or several that do one job together. */
type Who = "client" | "api" | "hostd" | "traces" | "scheduler";

/** Creates and starts with 16, 64 and 128 under way at any moment: how many a second, how long each takes then, what each process pays. */
export async function measureThroughput(
  fleet: BenchFleet,
  rounds: number,
  report: Report,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  await fleet.allow({ machines: 2 * MACHINES, memoryMb: 2 * MACHINES * MB_EACH });
  const { api, token } = fleet.services;
  await using load = new LoadProcess({ api, token, app: APP, image: fleet.image });
  const meter = new CpuMeter(fleet, load);
  const ids: string[] = [];
  const startRates: number[][] = [];
  const createRates: number[][] = [];
  const costs: (readonly [string, Readonly<Record<Who, number>>])[] = [];

  await progress.step("creates at once", async (say) => {
    for (const atOnce of WIDTHS) {
      say(`${atOnce} at once`);
      const count = atOnce === WIDTHS[0] ? MACHINES - CREATES_EACH * (WIDTHS.length - 1) : CREATES_EACH;
      const before = meter.read();
      const made = await load.run({ kind: "create", atOnce, count }, signal);
      ids.push(...made.ids);
      report.add(`create_at_${atOnce}`, "ms", made.ms);
      createRates.push([(1_000 * count) / made.wallMs]);
      report.add(`creates_per_second_at_${atOnce}`, "1/s", createRates.at(-1) ?? []);
      costs.push([`create at ${atOnce}`, meter.since(before, count)]);
    }
  });
  await progress.step("starts at once", async (say) => {
    for (const atOnce of WIDTHS) {
      const ms: number[] = [];
      const rates: number[] = [];
      const spent: Readonly<Record<Who, number>>[] = [];
      for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
        say(`${atOnce} at once, round ${Math.max(0, round + 1)} of ${rounds}`);
        const before = meter.read();
        const started = await load.run({ kind: "start", atOnce, ids }, signal);
        const each = meter.since(before, ids.length);
        await load.run({ kind: "stop", atOnce: WIDTHS[0], ids }, signal);
        if (round < 0) continue;
        ms.push(...started.ms);
        rates.push((1_000 * ids.length) / started.wallMs);
        spent.push(each);
      }
      report.add(`start_at_${atOnce}`, "ms", ms);
      startRates.push(rates);
      report.add(`starts_per_second_at_${atOnce}`, "1/s", rates);
      costs.push([`start at ${atOnce}`, meanOf(spent)]);
    }
  });
  await progress.step("destroys", () => load.run({ kind: "destroy", atOnce: WIDTHS[0], ids }, signal));
  report.add("starts_per_second", "1/s", best(startRates));
  report.add("creates_per_second", "1/s", best(createRates));
  report.note(
    "starts_per_second, creates_per_second: of the width at which the typical round is the quickest",
  );
  report.note(`${MACHINES} machines, each started once a round; rates are those of rounds`);
  report.section("What one operation costs in processor time, in ms (hostd: all hosts together)", [
    ...costTable(costs),
  ]);
}

/** The rates of the width at which the typical round is the quickest: saturation. */
function best(rates: readonly (readonly number[])[]): readonly number[] {
  const typical = (each: readonly number[]) =>
    each.toSorted((a, b) => a - b)[Math.floor(each.length / 2)] ?? 0;
  return rates.toSorted((a, b) => typical(b) - typical(a))[0] ?? [];
}

/** Reads how much processor time everybody has used. */
class CpuMeter {
  readonly #fleet: BenchFleet;
  readonly #load: LoadProcess;

  constructor(fleet: BenchFleet, load: LoadProcess) {
    this.#fleet = fleet;
    this.#load = load;
  }

  read(): Readonly<Record<Who, number>> {
    const of = (part: string) => cpuMs(this.#fleet.services.pid(part) ?? 0);
    const hosts = this.#fleet.services.hosts.map(({ number }) => of(`hostd-${number}`));
    return {
      client: cpuMs(this.#load.pid),
      api: of("api"),
      hostd: hosts.reduce((sum, each) => sum + each, 0),
      scheduler: of("scheduler"),
      traces: of("traces"),
    };
  }

  since(before: Readonly<Record<Who, number>>, operations: number): Readonly<Record<Who, number>> {
    const now = this.read();
    return mapValues(now, (value, who) => (value - before[who]) / operations);
  }
}

function meanOf(all: readonly Readonly<Record<Who, number>>[]): Readonly<Record<Who, number>> {
  const zero = { client: 0, api: 0, hostd: 0, scheduler: 0, traces: 0 };
  return mapValues(zero, (_, who) => all.reduce((sum, each) => sum + each[who], 0) / all.length);
}

function mapValues(
  values: Readonly<Record<Who, number>>,
  map: (value: number, who: Who) => number,
): Record<Who, number> {
  const { client, api, hostd, scheduler, traces } = values;
  return {
    client: map(client, "client"),
    api: map(api, "api"),
    hostd: map(hostd, "hostd"),
    scheduler: map(scheduler, "scheduler"),
    traces: map(traces, "traces"),
  };
}

function costTable(costs: readonly (readonly [string, Readonly<Record<Who, number>>])[]): string[] {
  const whos = ["client", "api", "hostd", "scheduler", "traces"] as const;
  const body = costs.map(([name, cost]) => [name, ...whos.map((who) => number(cost[who]))]);
  return table([["", ...whos], ...body]);
}
