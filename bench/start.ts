/**
 * Measures how fast a machine starts by each start path, how many start at once, and a boot by hand
 * and a container beside them.
 *
 * `npm run bench -- start [--runs N] [--readme]`
 */
import { copyFileSync, globSync } from "node:fs";
import { join } from "node:path";
import { benchmark } from "./lib/benchmark.ts";
import { measureFloor } from "./start/floor.ts";
import { StartFleet } from "./start/start-fleet.ts";
import { addSummary } from "./start/summary.ts";

const BURSTS = [2, 8, 32];

await benchmark(
  {
    name: "start",
    title: "Start of a machine, from the client's call to its answer",
    defaultRuns: 200,
    targets: {
      warm: { p50: 60, p99: 150 },
      template: { p50: 400, p99: 900 },
      cold: { p50: 6_000 },
      stop: { p50: 50 },
      outside_vmm: { p50: 4, p99: 15 },
      burst_32: { p99: 12_000 },
      burst_32_failed: { p99: 0 },
      waiting_vm_memory: { p99: 40 },
    },
    floor: "plain_qemu_cold",
    uncompared: ["stop", "outside_vmm", "bare_calls"],
  },
  async (run) => {
    const { runs, report, folder } = run;
    const rootfs = join(folder, "root.squashfs");
    // A fleet for each start path, so that slower ones use nothing that was prepared for faster ones.
    const warm = await run.with(
      "a fleet",
      () => StartFleet.open(run),
      async (fleet) => {
        const measured = await fleet.sequence("warm", runs);
        const hasPool = measured.samples.length > 0;
        if (hasPool) await fleet.bareCalls(run.scaled(4, 20));
        for (const size of BURSTS) await fleet.bursts(size, run.scaled(40, 3), hasPool);
        await fleet.waitingMemory();
        return measured;
      },
    );
    const template = await run.with(
      "a fleet for templates",
      () => StartFleet.open(run, "template,cold"),
      (fleet) => fleet.sequence("template", run.scaled(4, 20)),
    );
    const { cold, tuned } = await run.with(
      "a fleet for cold starts",
      () => StartFleet.open(run, "cold"),
      async (fleet) => {
        const measured = await fleet.sequence("cold", run.scaled(10, 10));
        const [found] = globSync(join(fleet.services.folder, "hosts/1/imagecache/rootfs/*.squashfs"));
        if (found === undefined) throw new Error("the image cache holds no root file system");
        copyFileSync(found, rootfs);
        return { cold: measured, tuned: await fleet.optionsOfRunning() };
      },
    );
    await measureFloor(run, rootfs, tuned);
    addSummary(report, [warm, template, cold]);
  },
);
