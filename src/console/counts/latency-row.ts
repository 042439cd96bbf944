import { JsHistogram } from "hdr-histogram-js";
import { decodeHistogram, newHistogram } from "../../lib/latency/histogram.ts";
import type { LatencyRow as StoredRow } from "../../lib/latency/trace-reader.ts";

/** Durations of a minute or an hour, of one organisation, kind, path and outcome. */
export interface LatencyRow extends Omit<StoredRow, "histogram"> {
  /** Slots of the histogram that have any, ascending, and how many. */
  readonly slots: Uint32Array;
  readonly counts: Float64Array;
}

/** Reads the histogram of a row. */
export function decodeRow({ histogram, ...row }: StoredRow): LatencyRow {
  const decoded = byValue(decodeHistogram(histogram));
  const slots: number[] = [];
  const counts: number[] = [];
  for (let slot = 0; slot < decoded.countsArrayLength; slot++) {
    const count = decoded.getCountAtIndex(slot);
    if (count === 0) continue;
    slots.push(slot);
    counts.push(count);
  }
  return { ...row, slots: Uint32Array.from(slots), counts: Float64Array.from(counts) };
}

const slotValues: number[] = [];

/** The largest duration that a slot stands for, in microseconds: less than 0.1 % above the least. */
export function valueOfSlot(slot: number): number {
  while (slotValues.length <= slot) slotValues.push(valueIn(slotValues.length));
  return slotValues[slot] ?? 0;
}

// Slots are the same in all histograms of the same precision.
const reference = byValue(newHistogram());

function valueIn(slot: number): number {
  return reference.highestEquivalentValue(reference.valueFromIndex(slot));
}

function byValue(histogram: unknown): JsHistogram {
  if (histogram instanceof JsHistogram) return histogram;
  throw new Error("the histogram cannot be read value by value");
}
