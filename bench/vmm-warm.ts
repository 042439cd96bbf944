/**
 * Measures warm starts and starts from templates of the VMM alone, from the call to the program's
 * exec, with their phases, and what VMs that wait cost.
 *
 * `npm run bench -- vmm-warm [--runs N]`
 */
import { sleep } from "../src/lib/runtime/wait.ts";
import { privateMb } from "../test/e2e/support/fixture.ts";
import { benchmark } from "./lib/benchmark.ts";
import { measureLaunches, withVmm } from "./lib/launches.ts";

const SHAPE = { cpus: 1, memoryMb: 256 };
const POOL_SIZE = 3;
const READY_LIMIT_MS = 60_000;
const POLL_MS = 20;

await benchmark(
  { name: "vmm-warm", title: "Warm starts and templates of the VMM alone", defaultRuns: 50 },
  async (run) => {
    for (const startPaths of [["warm", "template"], ["template"]] as const) {
      const [startPath] = startPaths;
      let hasTemplate = false;
      const template = () => {
        hasTemplate = true;
      };
      const metrics = { waiting() {}, reclaimable() {}, hit() {}, miss() {}, template };
      const options = { startPaths, warmMemoryMb: 2_048, metrics };
      await withVmm(run, `a VMM for ${startPath} starts`, options, async (bench) => {
        const poolSize = startPath === "warm" ? POOL_SIZE : 0;
        const ready = async () => {
          const deadline = performance.now() + READY_LIMIT_MS;
          while (!hasTemplate || bench.vmm.warm?.(SHAPE) !== poolSize) {
            if (performance.now() > deadline) throw new Error("not ready in time");
            await sleep(POLL_MS, run.signal);
          }
        };
        bench.vmm.keepWarm?.({
          shapes: () => Array.from({ length: POOL_SIZE }, () => SHAPE),
          setReclaimable: () => true,
          onReclaim() {},
        });
        await run.progress.step("pool and template", ready);
        const waiting = bench.waiting().map((id) => privateMb(bench.dir, id));
        if (startPath === "warm") run.report.add("waiting: memory", "MB", waiting);
        await measureLaunches(run, bench, startPath, ready);
      });
    }
  },
);
