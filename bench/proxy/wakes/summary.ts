import { median } from "../../lib/report/percentiles.ts";
import type { Report } from "../../lib/report/report.ts";
import { number, ratio, table } from "../../lib/report/table.ts";
import type { Wakes } from "./wakes.ts";

/** What a cold boot of the slow application takes at least, for its snapshot to be compared. */
const SLOW_BOOT_MS = 5_000;

/** Adds where the time of wakes goes, and how they compare to boots by hand. */
export function addWakes(report: Report, all: readonly Wakes[]): void {
  const measured = all.filter(({ samples }) => samples.length > 0);
  if (measured.length === 0) return;
  const heading = ["wake", "n", "whole", "queue", "start", "ready", "rest", "to plain QEMU"];
  const body = measured.map(({ program, startPath, samples }) => {
    const of = (pick: (wake: Wakes["samples"][number]) => number) => median(samples.map(pick));
    const whole = of(({ ms }) => ms);
    const rest = of(({ ms, queueMs, startMs, readyMs }) => ms - queueMs - startMs - readyMs);
    const parts = [
      whole,
      of((wake) => wake.queueMs),
      of((wake) => wake.startMs),
      of((wake) => wake.readyMs),
      rest,
    ];
    const plain = report.row(`wake_${program}_plain_qemu`);
    return [
      ...[`${program} ${startPath}`, String(samples.length), ...parts.map(number)],
      plain === undefined ? "" : ratio(whole, plain.p50),
    ];
  });
  const title = "Where the time of a wake goes, by what its answer says: medians, in ms";
  report.section(title, table([heading, ...body]));
  noteSlowBoot(report);
}

function noteSlowBoot(report: Report): void {
  const cold = report.row("wake_node_cold");
  const snapshot = report.row("wake_node_snapshot");
  if (cold === undefined || snapshot === undefined) return;
  const isSlow = cold.p50 > SLOW_BOOT_MS;
  const says = isSlow ? "over 5 s, as the target supposes" : "NOT over 5 s, as the target supposes";
  report.note(
    `wake_node_snapshot is ${ratio(snapshot.p50, cold.p50)} of wake_node_cold, p50 to p50, which is ${says}`,
  );
}
