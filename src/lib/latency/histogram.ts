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
  return build({ bitBucketSize: BITS, numberOfSignificantValueDigits: 3, autoResize: true });
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
  return decodeFromCompressedBase64(text, BITS);
}
