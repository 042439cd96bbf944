import { breakdownTable, startTimes } from "../lib/breakdown.ts";
import { summarize } from "../lib/percentiles.ts";
import type { Report } from "../lib/report.ts";
import { number } from "../lib/table.ts";
import type { Measured } from "./run.ts";

/** The product's own goal: a warm start beside a boot by hand, in the same run. */
const WARM_TO_PLAIN = 50;

/** Adds what follows from all starts together: stops, the share outside the VMM, where the time goes. */
export function addSummary(report: Report, measured: readonly Measured[]): void {
  const samples = measured.flatMap(({ sequence }) => sequence.samples);
  report.add(
    "stop",
    "ms",
    samples.map(({ stopMs }) => stopMs),
    "nothing was started",
  );
  for (const each of measured) addUnwatched(report, each);
  addOutside(report, measured);
  const [warm, plain] = [report.row("warm"), report.row("plain_qemu_cold")];
  const line = report.row("warm_first_line");
  if (warm !== undefined && plain !== undefined) {
    const times = plain.p50 / warm.p50;
    const verdict = times >= WARM_TO_PLAIN ? "ok" : "MISSED";
    const alike =
      line === undefined ? "" : `; to the first line, as that is measured, 1/${number(plain.p50 / line.p50)}`;
    report.note(
      `warm is 1/${number(times)} of plain_qemu_cold, p50 to p50 (<= 1/${WARM_TO_PLAIN} ${verdict})${alike}`,
    );
  }
  const kinds = measured
    .map(({ sequence, traces }) => ({ name: sequence.startPath, traces: [...traces.values()] }))
    .filter(({ traces }) => traces.length > 0);
  if (kinds.length > 0) {
    report.section(
      "Where the time of a start goes: mean of each span's own time, in ms",
      breakdownTable(kinds),
    );
  }
}

/** The same starts without the start watch. */
function addUnwatched(report: Report, { sequence, traces }: Measured): void {
  const ms = sequence.samples.flatMap((sample) => {
    const times = startTimes(traces.get(sample.traceId) ?? []);
    return times === undefined ? [] : [sample.ms - times.watchMs];
  });
  report.add(`${sequence.startPath}_without_watch`, "ms", ms, "no start's trace was complete");
}

/** Of the fastest start path: there it matters, and no guest that boots keeps the processors busy. */
function addOutside(report: Report, measured: readonly Measured[]): void {
  const fastest = measured.find(({ traces }) => traces.size > 0);
  const pairs = (fastest?.sequence.samples ?? []).flatMap(({ ms, traceId }) => {
    const times = startTimes(fastest?.traces.get(traceId) ?? []);
    return times === undefined ? [] : [{ ms, times }];
  });
  const outside = pairs.map(({ ms, times }) => ms - times.vmmMs);
  report.add("outside_vmm", "ms", outside, "no start's trace was complete");
  if (fastest === undefined || pairs.length === 0) return;
  report.note(`outside_vmm: client's time minus hostd.acquire, of the ${fastest.sequence.startPath} starts`);
  const gaps = summarize(
    "gap",
    "%",
    pairs.map(({ times }) => 100 * (1 - times.coverage)),
  );
  report.note(
    `spans below the root cover ${number(100 - gaps.p50)} % of a start (p50), ${number(100 - gaps.max)} % at worst`,
  );
}
