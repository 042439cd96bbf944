import {
  build,
  decodeFromCompressedBase64,
  encodeIntoCompressedBase64,
  type Histogram,
} from "hdr-histogram-js";

/** Counts of durations in microseconds, each exact to three digits: its error is below 0.1 %. */
export type DurationHistogram = Pick<
  Histogram,
  "recordValue" | "add" | "totalCount" | "maxValue" | "getValueAtPercentile" | "mean"
>;

const BITS = 32;
/** Longer durations count as this one: an hour and a half. */
const MAX_US = 2 ** 32;

export function newHistogram(): Histogram {
  // It grows with its values; by default it has counts for all that a number can be, 180 KiB.
  const highestTrackableValue = 2;
  return build({
    ...{ bitBucketSize: BITS, numberOfSignificantValueDigits: 3, autoResize: true },
    highestTrackableValue,
  });
}

/** Counts a duration in microseconds. */
export function recordDuration(histogram: DurationHistogram, durationUs: number): void {
  histogram.recordValue(Math.min(MAX_US, Math.max(0, Math.round(durationUs))));
}

/** Writes a histogram as the tables `latency` and `latency_hour` hold it. */
export function encodeHistogram(histogram: Histogram): string {
  return encodeIntoCompressedBase64(histogram);
}

/** Reads what {@link encodeHistogram} wrote. */
export function decodeHistogram(text: string): Histogram {
  const histogram = decodeFromCompressedBase64(text, BITS);
  // It would take no value above those that it has (3.0.1).
  histogram.autoResize = true;
  return histogram;
}
