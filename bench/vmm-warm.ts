/**
 * How long a start takes by each start path without anything around the VMM: from the call to the program's exec, one after the other, and which
 * part of it takes how much; and what a VM costs that waits. The pool and the template are made first.
 *
 * `node bench/vmm-warm.ts [--runs N]`
 */
import { sleep } from "../src/lib/runtime/wait.ts";
import { type Bench, openBench, privateMb } from "../test/e2e/vmm-fixture.ts";
import { benchOptions } from "./lib/options.ts";
import { summarize } from "./lib/percentiles.ts";
import { number, table } from "./lib/table.ts";

const SHAPE = { cpus: 1, memoryMb: 256 };
const WAITING = 3;
const READY_LIMIT_MS = 60_000;

const { runs } = benchOptions(process.argv.slice(2), 50);
const samples = new Map<string, number[]>();
const add = (name: string, value: number): void => {
  samples.set(name, [...(samples.get(name) ?? []), value]);
};

await measure(["warm", "template"]);
await measure(["template"]);
const rows = [...samples].map(([name, values]) =>
  summarize(name, name.endsWith("_mb") ? "MB" : "ms", values),
);
const cells = rows.map(({ name, unit, n, p50, p90, p99, max }) => {
  return [name, unit, String(n), ...[p50, p90, p99, max].map(number)];
});
process.stdout.write(`${table([["", "unit", "n", "p50", "p90", "p99", "max"], ...cells]).join("\n")}\n`);

async function measure(startPaths: readonly ("warm" | "template")[]): Promise<void> {
  const startPath = startPaths[0] ?? "template";
  let hasTemplate = false;
  const template = (): void => {
    hasTemplate = true;
  };
  const metrics = { waiting() {}, reclaimable() {}, hit() {}, miss() {}, template };
  const bench = await openBench({ startPaths, warmMemoryMb: 2_048, metrics });
  try {
    const began = performance.now();
    keepWarm(bench, WAITING);
    await until(() => hasTemplate && bench.vmm.warm?.(SHAPE) === (startPath === "warm" ? WAITING : 0));
    process.stdout.write(`ready for ${startPath} after ${Math.round(performance.now() - began)} ms\n`);
    if (startPath === "warm")
      for (const id of bench.waiting()) add("waiting_private_mb", privateMb(bench.dir, id));
    for (let run = 0; run < runs; run++) await once(bench, startPath);
  } finally {
    await bench.close();
  }
}

function keepWarm({ vmm }: Bench, count: number): void {
  vmm.keepWarm?.({
    shapes: () => Array.from({ length: count }, () => SHAPE),
    setReclaimable: () => true,
    onReclaim() {},
  });
}

async function once(bench: Bench, startPath: "warm" | "template"): Promise<void> {
  if (startPath === "warm") await until(() => bench.vmm.warm?.(SHAPE) === WAITING);
  const before = performance.now();
  const { vm } = await bench.launch(["sleep", "1000"]);
  const took = performance.now() - before;
  if (vm.startPath !== startPath) throw new Error(`started ${vm.startPath}, not ${startPath}`);
  add(startPath, took);
  for (const { name, startUs, endUs } of vm.phases) add(`${startPath}: ${name}`, (endUs - startUs) / 1_000);
  await bench.vmm.destroy(vm.id);
}

async function until(isDone: () => boolean): Promise<void> {
  const deadline = performance.now() + READY_LIMIT_MS;
  while (!isDone()) {
    if (performance.now() > deadline) throw new Error("not ready in time");
    await sleep(20, new AbortController().signal);
  }
}
