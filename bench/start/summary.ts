import { breakdownTable, startTimes } from "../lib/measure/breakdown.ts";
import { summarize } from "../lib/report/percentiles.ts";
import type { Report } from "../lib/report/report.ts";
import { number } from "../lib/report/table.ts";
import type { Measured } from "./start-fleet.ts";

/** The goal: a warm start takes this fraction of a boot by hand. */
const WARM_TO_PLAIN = 50;
const NO_TRACE = "no start's trace was complete";

/** Adds stops, times without start watch and VMM, and where the time of starts goes. */
export function addSummary(report: Report, measured: readonly Measured[]): void {
  const stops = measured.flatMap(({ samples }) => samples.map(({ stopMs }) => stopMs));
  report.add("stop", "ms", stops, "nothing was started");
  for (const each of measured) {
    const ms = traced(each).map(({ ms, times }) => ms - times.watchMs);
    report.add(`${each.startPath}_without_watch`, "ms", ms, NO_TRACE);
  }
  addOutside(report, measured);
  compareToFloor(report);
  const kinds = measured
    .map(({ startPath, traces }) => ({ name: startPath, traces: [...traces.values()] }))
    .filter(({ traces }) => traces.length > 0);
  const title = "Where the time of a start goes: mean of each span's own time, in ms";
  if (kinds.length > 0) report.section(title, breakdownTable(kinds));
}

/** Adds the time outside the VMM. Of the fastest path, as booting guests need the processors. */
function addOutside(report: Report, measured: readonly Measured[]): void {
  const fastest = measured.find(({ traces }) => traces.size > 0);
  const starts = fastest ? traced(fastest) : [];
  const outside = starts.map(({ ms, times }) => ms - times.vmmMs - times.watchMs);
  report.add("outside_vmm", "ms", outside, NO_TRACE);
  if (fastest === undefined || starts.length === 0) return;
  report.note(
    `outside_vmm: client's time minus hostd.acquire and hostd.watch, of the ${fastest.startPath} starts`,
  );
  const uncovered = starts.map(({ times }) => 100 * (1 - times.coverage));
  const { p50, max } = summarize("uncovered", "%", uncovered);
  report.note(
    `spans below the root cover ${number(100 - p50)} % of a start (p50), ${number(100 - max)} % at worst`,
  );
}

/** Compares warm starts to boots by hand in the same run. */
function compareToFloor(report: Report): void {
  const [warm, plain, line] = ["warm", "plain_qemu_cold", "warm_first_line"].map((name) => report.row(name));
  if (warm === undefined || plain === undefined) return;
  const times = plain.p50 / warm.p50;
  const isMet = times >= WARM_TO_PLAIN ? "ok" : "MISSED";
  const toLine = line === undefined ? "" : `; both to the first line, 1/${number(plain.p50 / line.p50)}`;
  report.note(
    `warm is 1/${number(times)} of plain_qemu_cold, p50 to p50 (<= 1/${WARM_TO_PLAIN} ${isMet})${toLine}`,
  );
}

/** Returns the starts whose trace is complete, with the times in it. */
function traced({ samples, traces }: Measured) {
  return samples.flatMap(({ ms, traceId }) => {
    const times = startTimes(traces.get(traceId) ?? []);
    return times === undefined ? [] : [{ ms, times }];
  });
}
