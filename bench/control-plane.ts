/**
 * Measures the control plane alone: starts and creates of VMs that take no time, one after the
 * other and many at once.
 *
 * `npm run bench -- control-plane [--runs N] [--readme]`
 */
import { measureCreates, measureStarts } from "./control-plane/one-by-one.ts";
import { measureThroughput } from "./control-plane/throughput.ts";
import { benchmark } from "./lib/benchmark.ts";
import { BenchFleet } from "./lib/fleet.ts";

const HOSTS = 2;
/** Starting a simulated VM is no work. */
const ENVIRONMENT = { HOSTD_START_CONCURRENCY: "128" };

await benchmark(
  {
    name: "control-plane",
    title: "The control plane alone: simulated VMs that take no time",
    defaultRuns: 500,
    targets: {
      control_plane: { p50: 4, p99: 15 },
      create_cached: { p50: 500 },
      starts_per_second: { p50: 800, atLeast: true },
    },
  },
  async (run) => {
    const { report, folder, signal } = run;
    const options = { hosts: HOSTS, vmm: "sim", environment: ENVIRONMENT } as const;
    const open = () => BenchFleet.start(options, folder, true, signal);
    await run.with("a fleet", open, async (fleet) => {
      report.vmm = await fleet.vmm();
      report.note(`one api, one scheduler, ${HOSTS} hosts, Postgres and Redis, all on this machine`);
      await measureStarts(fleet, run);
      await measureCreates(fleet, run);
      await measureThroughput(fleet, run);
    });
  },
);
