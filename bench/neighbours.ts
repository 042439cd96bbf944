/**
 * Measures what a neighbour can do to others: starts of one organisation, alone and beside another
 * organisation that calls, creates, pulls and writes as fast as it can.
 *
 * `npm run bench -- neighbours [--runs N] [--only A,B] [--readme]`
 */
import { benchmark } from "./lib/benchmark.ts";
import { ABUSERS } from "./neighbours/abusers.ts";
import { measureLogFlood } from "./neighbours/log-flood.ts";
import { addSummary, measureAbuser, type Outcome } from "./neighbours/measure.ts";
import { NeighboursWorld } from "./neighbours/world.ts";

const LOG_FLOOD = "empty_lines";
const SIMULATED = ABUSERS.map(({ name }) => name);

await benchmark(
  {
    name: "neighbours",
    title: "Starts of one organisation beside another that does all it can",
    defaultRuns: 400,
    parts: [...SIMULATED, LOG_FLOOD],
  },
  async (run) => {
    const { report, parts } = run;
    const outcomes: Outcome[] = [];
    const abusers = ABUSERS.filter(({ name }) => parts.includes(name));
    if (abusers.length > 0)
      await run.with(
        "a fleet",
        () => NeighboursWorld.start(run, "sim"),
        async (world) => {
          report.vmm = await world.fleet.vmm();
          report.note("one host; its VMs are simulated and take no time, except beside empty_lines");
          for (const abuser of abusers) outcomes.push(...(await measureAbuser(world, abuser, run)));
        },
      );
    if (parts.includes(LOG_FLOOD))
      await run.with(
        "a fleet with VMs",
        () => NeighboursWorld.start(run, "real"),
        async (world) => {
          if (abusers.length === 0) report.vmm = await world.fleet.vmm();
          outcomes.push(await measureLogFlood(world, LOG_FLOOD, run));
        },
      );
    addSummary(report, outcomes);
  },
);
