import { type Bench, openBench, privateMb } from "../../test/e2e/support/fixture.ts";
import { type Run, timed } from "./benchmark.ts";

/** Opens a VMM, works with it and closes it. */
export function withVmm(
  run: Run,
  name: string,
  options: Parameters<typeof openBench>[0],
  work: (bench: Bench) => Promise<void>,
): Promise<void> {
  const open = async () => {
    const bench = await openBench(options);
    return { bench, [Symbol.asyncDispose]: () => bench.close() };
  };
  return run.with(name, open, async ({ bench }) => {
    const { version, acceleration, reason } = bench.vmm.info;
    run.report.vmm = { name: `qemu ${version}`, acceleration, reason };
    await work(bench);
  });
}

/** Launches and destroys VMs one after the other. Adds rows, also of phases and memory. */
export async function measureLaunches(
  run: Run,
  { vmm, dir, launch }: Bench,
  startPath: string,
  ready: () => Promise<void> = async () => {},
): Promise<void> {
  const times = new Map<string, number[]>();
  const memory: number[] = [];
  const add = (name: string, ms: number) => times.set(name, [...(times.get(name) ?? []), ms]);
  const once = async () => {
    await ready();
    const startedAt = performance.now();
    const { vm } = await launch(["sleep", "1000"]);
    add(startPath, performance.now() - startedAt);
    if (vm.startPath !== startPath) throw new Error(`the start path was ${vm.startPath}, not ${startPath}`);
    for (const { name, startUs, endUs } of vm.phases) add(`${startPath}: ${name}`, (endUs - startUs) / 1_000);
    memory.push(privateMb(dir, vm.id));
    add(`${startPath}: destroy`, await timed(() => vmm.destroy(vm.id)));
  };
  await run.repeat(`${startPath} launches`, run.runs, once, 0);
  run.report.addTimes(Object.fromEntries(times));
  run.report.add(`${startPath}: memory`, "MB", memory);
}
