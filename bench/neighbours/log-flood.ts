import { setTimeout as delay } from "node:timers/promises";
import type { Run } from "../lib/benchmark.ts";
import { cpuMs } from "../lib/measure/cpu.ts";
import { FLOOD_PATH } from "../lib/program.ts";
import { type Outcome, starts } from "./measure.ts";
import type { NeighboursWorld } from "./world.ts";

const GUESTS = 4;
/** For warm VMs to be ready, and for the guests to reach their full speed. */
const SETTLE_MS = 15_000;
const MEASURE_MS = 10_000;

/** Measures starts alone and beside real VMs whose programs write empty lines without end. */
export async function measureLogFlood(world: NeighboursWorld, name: string, run: Run): Promise<Outcome> {
  const { progress, signal } = run;
  const count = run.scaled(10, 10);
  return progress.step(name, async (say) => {
    say("quiet");
    await delay(SETTLE_MS, undefined, { signal });
    await starts(world, 3, 0, signal);
    const quiet = await starts(world, count, MEASURE_MS, signal);
    say("beside it");
    const abuser = await world.openAbuser(name);
    const guests = await abuser.machines(GUESTS, { init: { exec: [FLOOD_PATH] } });
    for (const id of guests) await abuser.clients.start(id);
    await delay(SETTLE_MS, undefined, { signal });
    const { services } = world.fleet;
    const hostdMs = () => cpuMs(services.pid("hostd-1") ?? 0);
    const [before, startedAt] = [hostdMs(), performance.now()];
    const beside = await starts(world, count, MEASURE_MS, signal);
    const share = Math.round((100 * (hostdMs() - before)) / (performance.now() - startedAt));
    for (const id of guests) await abuser.clients.destroy(id, true);
    const abuse = `${GUESTS} guests; hostd: ${share} % of a processor, starts included`;
    return { name, quiet: quiet.ms, beside: beside.ms, failed: beside.failed, abuse };
  });
}
