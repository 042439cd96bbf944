/**
 * What the control plane itself costs: starts and creates with VMs that take no time at all, one after the other and many at once.
 *
 * `npm run bench -- control-plane [--runs N] [--readme]`
 */
import { join } from "node:path";
import { temporaryFolder } from "../test/support/temporary.ts";
import { main } from "../tools/lib/main.ts";
import { Progress } from "../tools/lib/progress.ts";
import { measureCreates, measureStarts } from "./control-plane/one-by-one.ts";
import { measureThroughput } from "./control-plane/throughput.ts";
import { BenchFleet } from "./lib/fleet.ts";
import { describeVmm } from "./lib/machine.ts";
import { benchOptions, scaled } from "./lib/options.ts";
import { compile, imageOf } from "./lib/program.ts";
import { Report } from "./lib/report.ts";
import { ClientTracing } from "./lib/tracing.ts";

const DEFAULT_RUNS = 500;
const HOSTS = 2;

/** Simulated machines take no memory, and bringing one up is no work: a host may have as many, and start as many at once, as it is asked for. */
const ROOM = {
  HOSTD_MEMORY_MB: "1048576",
  HOSTD_CPUS: "4096",
  HOSTD_DISK_MB: "10485760",
  HOSTD_START_CONCURRENCY: "128",
};

const TARGETS = {
  control_plane: { p50: 4, p99: 15 },
  create_cached: { p50: 500 },
  starts_per_second: { p50: 800, atLeast: true },
} as const;

await main(async (signal) => {
  const { runs, readme } = benchOptions(process.argv.slice(2), DEFAULT_RUNS);
  const report = new Report({
    name: "control-plane",
    readme,
    title: "The control plane alone: simulated VMs that take no time",
    targets: TARGETS,
  });
  const progress = new Progress();
  const files = temporaryFolder("bench-files");
  try {
    const program = join(files.path, "line");
    await compile("line", program, signal);
    const image = imageOf(program);
    const fleet = await progress.step("a fleet", () =>
      BenchFleet.start({ hosts: HOSTS, vmm: "sim", image, environment: ROOM }, signal),
    );
    try {
      const [host] = await fleet.clients.hosts();
      if (host !== undefined) report.vmm = describeVmm(host);
      report.note(`one api, one scheduler, ${HOSTS} hosts, Postgres and Redis, all on this machine`);
      const tracing = await ClientTracing.start(fleet.services);
      try {
        await measureStarts(fleet, tracing, runs, report, progress, signal);
        await measureCreates(fleet, scaled(runs, 5, 50), report, progress, signal);
        await measureThroughput(fleet, scaled(runs, 50, 4), report, progress, signal);
      } finally {
        await tracing.stop();
      }
    } finally {
      await progress.step("taking the fleet down", () => fleet.close());
    }
    report.finish();
    return 0;
  } finally {
    files.remove();
  }
});
