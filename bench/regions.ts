/**
 * Measures what distance costs: starts and creates between three regions that proxies put as far
 * apart as on Earth, and the round trips of a create. VMs take no time.
 *
 * `npm run bench -- regions [--runs N] [--readme]`
 */
import { benchmark } from "./lib/benchmark.ts";
import { measureLatencies } from "./regions/latencies.ts";
import { countRoundTrips } from "./regions/round-trips.ts";
import { RegionsWorld } from "./regions/world.ts";

await benchmark(
  {
    name: "regions",
    title: "Three regions, as far apart as on Earth; simulated VMs that take no time",
    defaultRuns: 40,
    targets: { start_beyond_the_round_trip: { p50: 15 } },
  },
  async (run) => {
    const { report, folder, signal } = run;
    await run.with(
      "three regions",
      () => RegionsWorld.start(folder, signal),
      async (world) => {
        report.vmm = await world.fleet.vmm();
        report.note("each region has an api, a scheduler, a Redis and a host; Postgres is in ord");
        report.note("clients are beside the api they ask; the registry is near everybody");
        await countRoundTrips(world, run);
        await measureLatencies(world, run);
      },
    );
  },
);
