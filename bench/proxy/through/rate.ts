import { abortable } from "../../../src/lib/runtime/abort.ts";
import type { Run } from "../../lib/benchmark.ts";
import { Child } from "../../lib/child.ts";
import type { Fronts } from "./fronts.ts";
import type { LoadFunctions } from "./load.ts";
import { rotated } from "./through.ts";

const CONNECTIONS = 32;
/** The kernel counts processor time in hundredths of a second. */
const ROUND_MS = 3_000;
const LIMIT_MS = 180_000;

/** Measures requests a second, and what they cost nginx and the proxy, by turns at full load. */
export async function measureRate({ all, problem }: Fronts, run: Run): Promise<void> {
  const { report, signal } = run;
  await using load = new Child<LoadFunctions>(new URL("./load.ts", import.meta.url));
  let first = 0;
  const once = async () => {
    const rates = new Map<string, number>();
    for (const { name, address, host, cpuMs } of rotated(all, first++)) {
      const before = cpuMs?.();
      const job = { address, host, connections: CONNECTIONS, durationMs: ROUND_MS };
      const { answered, wallMs } = await abortable(load.functions.run(job), signal);
      rates.set(`requests_per_second_${name}`, (1_000 * answered) / wallMs);
      if (before === undefined || cpuMs === undefined) continue;
      const spentMs = cpuMs() - before;
      if (spentMs > 0) rates.set(`requests_per_core_second_${name}`, (1_000 * answered) / spentMs);
    }
    return rates;
  };
  const rounds = await run.repeat("requests at full load", run.scaled(40, 3), once, 1, LIMIT_MS);
  const add = (row: string, whyNone?: string) =>
    report.add(
      row,
      "1/s",
      rounds.flatMap((rates) => rates.get(row) ?? []),
      whyNone,
    );
  add("requests_per_second_direct");
  for (const row of ["requests_per_second", "requests_per_core_second"]) {
    add(`${row}_nginx`, problem);
    add(`${row}_node`);
    add(`${row}_proxy`);
  }
  report.note(`requests_per_...: ${CONNECTIONS} connections; the machine's one CPU is the slowest part`);
  report.note(
    "requests_per_core_second: requests by the processor time of nginx, of a bare proxy by Node, or of the proxy",
  );
}
