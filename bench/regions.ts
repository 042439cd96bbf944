/**
 * What distance costs: starts and creates between three regions that are as far apart as on Earth, by proxies, and the round trips of a create
 * counted. VMs take no time.
 *
 * `npm run bench -- regions [--runs N] [--readme]`
 */
import { join } from "node:path";
import { temporaryFolder } from "../test/support/temporary.ts";
import { main } from "../tools/lib/main.ts";
import { Progress } from "../tools/lib/progress.ts";
import { benchOptions, scaled } from "./lib/options.ts";
import { compile, imageOf } from "./lib/program.ts";
import { Report } from "./lib/report.ts";
import { REGIONS } from "./regions/distances.ts";
import { measureLatencies } from "./regions/latencies.ts";
import { countRoundTrips } from "./regions/round-trips.ts";
import { RegionsWorld } from "./regions/world.ts";

const DEFAULT_RUNS = 40;

const TARGETS = { start_beyond_the_round_trip: { p50: 15 } } as const;

await main(async (signal) => {
  const { runs, readme } = benchOptions(process.argv.slice(2), DEFAULT_RUNS);
  const report = new Report({
    name: "regions",
    readme,
    title: "Three regions, as far apart as on Earth; simulated VMs that take no time",
    targets: TARGETS,
  });
  const progress = new Progress();
  const files = temporaryFolder("bench-files");
  try {
    const program = join(files.path, "line");
    await compile("line", program, signal);
    const world = await progress.step("three regions", () =>
      RegionsWorld.start(REGIONS, imageOf(program), signal),
    );
    try {
      report.note(
        "each region has an api, a scheduler, a Redis and a host; Postgres is in ord; all on this machine",
      );
      report.note("clients are beside the api they ask; the registry is near everybody");
      await countRoundTrips(world, scaled(runs, 8, 3), report, progress, signal);
      await measureLatencies(world, runs, report, progress, signal);
    } finally {
      await progress.step("taking them down", () => world.close());
    }
    report.finish();
    return 0;
  } finally {
    files.remove();
  }
});
