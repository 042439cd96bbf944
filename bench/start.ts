/**
 * How fast a machine starts by each start path; how many at once; and what that is worth beside a boot by hand and a container.
 *
 * `npm run bench -- start [--runs N] [--readme]`
 */
import { copyFileSync, globSync } from "node:fs";
import { join } from "node:path";
import type { BuiltImage } from "../test/support/oci/index.ts";
import { temporaryFolder } from "../test/support/temporary.ts";
import { main } from "../tools/lib/main.ts";
import { Progress } from "../tools/lib/progress.ts";
import { benchOptions, scaled } from "./lib/options.ts";
import { compile, imageOf } from "./lib/program.ts";
import { Report } from "./lib/report.ts";
import { measureFloor } from "./start/floor.ts";
import { type Measured, StartRun } from "./start/run.ts";
import { addSummary } from "./start/summary.ts";

const DEFAULT_RUNS = 200;
const BURSTS = [2, 8, 32];

const TARGETS = {
  warm: { p50: 60, p99: 150 },
  template: { p50: 400, p99: 900 },
  cold: { p50: 6_000 },
  stop: { p50: 50 },
  outside_vmm: { p50: 4, p99: 15 },
  burst_32: { p99: 12_000 },
  burst_32_failed: { p99: 0 },
  waiting_vm_memory: { p99: 40 },
} as const;

await main(async (signal) => {
  const options = benchOptions(process.argv.slice(2), DEFAULT_RUNS);
  const report = new Report({
    name: "start",
    readme: options.readme,
    title: "Start of a machine, from the client's call to its answer",
    targets: TARGETS,
    floor: "plain_qemu_cold",
    uncompared: ["stop", "outside_vmm", "bare_calls"],
  });
  const progress = new Progress();
  const files = temporaryFolder("bench-files");
  try {
    const program = join(files.path, "line");
    await compile("line", program, signal);
    const rootfs = join(files.path, "root.squashfs");
    const measured = await measureFleets(imageOf(program), rootfs, options.runs, report, progress, signal);
    const { tuned, acceleration } = measured;
    const floor = { rootfs, tuned, acceleration, dir: files.path, runs: options.runs };
    await measureFloor(floor, report, progress, signal);
    addSummary(report, measured.all);
    report.finish();
    return measured.hasFailures ? 1 : 0;
  } catch (cause) {
    // Half an hour's figures are worth showing whatever happened then; they are no result, though.
    if (!signal.aborted)
      process.stdout.write(`\n${report.text()}\n\nThe benchmark has not come to its end:\n`);
    throw cause;
  } finally {
    files.remove();
  }
});

/** One fleet for each start path, so that the slower ones have nothing that was prepared for the faster ones. */
async function measureFleets(
  image: BuiltImage,
  rootfs: string,
  runs: number,
  report: Report,
  progress: Progress,
  signal: AbortSignal,
) {
  const all: Measured[] = [];
  const within = async <T>(
    startPaths: string | undefined,
    work: (run: StartRun) => Promise<T>,
  ): Promise<T> => {
    const run = await StartRun.open(image, startPaths, report, progress, signal);
    try {
      return await work(run);
    } finally {
      await progress.step("taking the fleet down", () => run.close());
    }
  };
  let hasFailures = false;
  await within(undefined, async (run) => {
    const warm = await run.sequence("warm", runs);
    all.push(warm);
    if (warm.sequence.samples.length > 0) await run.bareCalls(scaled(runs, 4, 20));
    for (const size of BURSTS) {
      const failed = await run.bursts(size, scaled(runs, 40, 3), warm.sequence.samples.length > 0);
      hasFailures ||= failed > 0;
    }
    await run.waitingMemory();
  });
  await within("template,cold", async (run) => all.push(await run.sequence("template", scaled(runs, 4, 20))));
  const { tuned, acceleration } = await within("cold", async (run) => {
    all.push(await run.sequence("cold", scaled(runs, 10, 10)));
    const [found] = globSync(join(run.fleet.services.folder, "hosts/1/imagecache/rootfs/*.squashfs"));
    if (found === undefined) throw new Error("the image cache holds no root file system");
    copyFileSync(found, rootfs);
    return { tuned: await run.optionsOfRunning(), acceleration: run.acceleration };
  });
  hasFailures ||= all.some(({ sequence }) => sequence.failures.length > 0);
  return { all, hasFailures, tuned, acceleration };
}
