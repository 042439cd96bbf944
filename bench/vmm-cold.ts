/**
 * How long a cold start takes without anything around the VMM: from the call to the program's exec, one after the other, and which
 * part of it takes how much. Beside it what a VM costs while its program waits: QEMU's own memory, and what it takes to end one.
 *
 * `node bench/vmm-cold.ts [--runs N]`
 */
import { openBench, privateMb } from "../test/e2e/vmm-fixture.ts";
import { benchOptions } from "./lib/options.ts";
import { summarize } from "./lib/percentiles.ts";
import { number, table } from "./lib/table.ts";

const { runs } = benchOptions(process.argv.slice(2), 20);
const samples = new Map<string, number[]>();
const add = (name: string, value: number): void => {
  samples.set(name, [...(samples.get(name) ?? []), value]);
};

const bench = await openBench();
try {
  for (let run = 0; run < runs; run++) await once();
  const { acceleration, version, reason } = bench.vmm.info;
  process.stdout.write(`QEMU ${version}, ${acceleration} (${reason})\n`);
  const rows = [...samples].map(([name, values]) =>
    summarize(name, name.endsWith("_mb") ? "MB" : "ms", values),
  );
  const cells = rows.map(({ name, unit, n, p50, p90, p99, max }) => {
    return [name, unit, String(n), ...[p50, p90, p99, max].map(number)];
  });
  const lines = table([["", "unit", "n", "p50", "p90", "p99", "max"], ...cells]);
  process.stdout.write(`${lines.join("\n")}\n`);
} finally {
  await bench.close();
}

async function once(): Promise<void> {
  const before = performance.now();
  const { vm } = await bench.launch(["sleep", "1000"]);
  add("cold_start", performance.now() - before);
  for (const { name, startUs, endUs } of vm.phases) add(name, (endUs - startUs) / 1_000);
  add("vmm_private_mb", privateMb(bench.dir, vm.id));
  const ending = performance.now();
  await bench.vmm.destroy(vm.id);
  add("destroy", performance.now() - ending);
}
