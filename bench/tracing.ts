/**
 * Measures what tracing costs a start: three fleets in turn, with tracing off, with one trace in ten
 * recorded, and with all. VMs are simulated and take as long as a warm one.
 *
 * `npm run bench -- tracing [--runs N] [--readme]`
 */
import { benchmark } from "./lib/benchmark.ts";
import { MODES, measureStarts, openFleets } from "./tracing/starts.ts";

/** Part of a start, in percent, that tracing may cost. */
const MOST = 3;

await benchmark(
  {
    name: "tracing",
    title: "What tracing costs a start",
    defaultRuns: 500,
    targets: { cost_sampled: { p50: MOST }, cost_on: { p50: MOST } },
  },
  async (run) => {
    const { report } = run;
    await using fleets = await openFleets(run);
    report.vmm = await fleets.off.vmm();
    const ms = await measureStarts(run, fleets);
    for (const mode of MODES) report.add(mode, "ms", ms[mode]);
    const { off } = ms;
    const typical = off.toSorted((a, b) => a - b)[Math.floor(off.length / 2)] ?? 0;
    for (const mode of ["sampled", "on"] as const) {
      const extra = ms[mode].map((each, i) => (100 * (each - (off[i] ?? each))) / typical);
      report.add(`cost_${mode}`, "%", extra);
    }
    report.note(
      "cost_...: of each start, against the one of the same round without tracing, in % of their median",
    );
    report.note("the receiver of the traces runs on the same machine");
  },
);
