import type { HostRow } from "../answers/panels.ts";
import type { Columns } from "../columns/columns.ts";
import { Groups } from "../columns/group.ts";
import { hopSumsBy, meansOf } from "../columns/hop-means.ts";
import { medianOf, percentilesAt } from "../statistics/percentiles.ts";

/** Makes the median absolute deviation of normal values their standard deviation. */
const MAD_SCALE = 1.4826;
/** Hosts in the answer, those that deviate most. */
const MAX_HOSTS = 200;

/**
 * Hosts by how far they are from all others, worst first.
 *
 * @param selected with failures; shortest first
 * @param measured those that percentiles are of; shortest first
 * @param sums of {@link hopSumsByHost}
 */
export function hostRows(
  columns: Columns,
  selected: Uint32Array,
  measured: Uint32Array,
  sums = hopSumsByHost(columns, measured),
): HostRow[] {
  const { values } = columns.texts.host;
  const { host } = columns.codes;
  const { reason, durationUs } = columns.numbers;
  const noReason = columns.reasons.find("") ?? -1;
  const groups = new Groups(measured, values.length, (i) => host[i] ?? 0);
  const failed = new Groups(selected, values.length, (i) => (reason[i] === noReason ? -1 : (host[i] ?? 0)));
  const codes = [...values.keys()].filter((code) => groups.sizeOf(code) + failed.sizeOf(code) > 0);
  const named = codes.filter((code) => values[code] !== "");
  const medians = named
    .filter((code) => groups.sizeOf(code) > 0)
    .map((code) => percentilesAt(durationUs, groups.of(code)).p50);
  const middle = medianOf(medians);
  const spread = MAD_SCALE * medianOf(medians.map((median) => Math.abs(median - middle)));
  const means = meansOf(sums, measured.length);
  const rows = named.map((code): HostRow => {
    const own = groups.of(code);
    const percentiles = percentilesAt(durationUs, own);
    return {
      host: values[code] ?? "",
      ...percentiles,
      deviation: percentiles.count === 0 ? 0 : deviationOf(percentiles.p50 - middle, spread, middle),
      failed: failed.sizeOf(code),
      hops: [...means].flatMap((mean, hop) => {
        const us = (sums[code]?.[hop] ?? 0) / Math.max(1, own.length);
        return mean === 0 ? [] : { hop: columns.hopNames.textOf(hop), us, ratio: us / mean };
      }),
    };
  });
  return rows.toSorted((a, b) => b.deviation - a.deviation || b.count - a.count).slice(0, MAX_HOSTS);
}

/** Sums of hops in microseconds, by the number of the host and of the hop. */
export function hopSumsByHost(columns: Columns, measured: Uint32Array): Float64Array[] {
  const { host } = columns.codes;
  return hopSumsBy(columns, measured, columns.texts.host.values.length, (i) => host[i] ?? 0);
}

/** With most hosts alike the deviation has no scale: a hundredth of the median takes its place. */
function deviationOf(distance: number, spread: number, middle: number): number {
  if (distance === 0) return 0;
  return distance / (spread > 0 ? spread : Math.max(1, middle / 100));
}
