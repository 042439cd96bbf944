import { KINDS } from "../../lib/latency/operation.ts";
import type { Dimension } from "../answers/operations.ts";
import type { Filter, Words } from "../parameters/filter.ts";
import type { Columns } from "./columns.ts";

/** Parts of a filter that a query leaves out. */
export interface SelectOptions {
  /** Default: that of the filter. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
  readonly outcome?: "ok" | "failed" | undefined;
  /** Whether only operations in the box count. Default: true. */
  readonly isBoxed?: boolean;
}

/**
 * Selects operations. Returns their indices, shortest first.
 *
 * @param org only operations of this organisation; undefined: of all
 */
export function select(
  columns: Columns,
  filter: Filter,
  org: string | undefined,
  options: SelectOptions = {},
): Uint32Array {
  return shortestFirst(columns, selectRows(columns, filter, org, options));
}

/** Does the same in the order of rows. Columns are read fastest in it: memory is read from one end to the other. */
export function selectRows(
  columns: Columns,
  filter: Filter,
  org: string | undefined,
  options: SelectOptions = {},
): Uint32Array {
  const matches = matcher(columns, filter, org, options);
  const found = new Uint32Array(columns.live);
  let count = 0;
  for (let i = 0; i < columns.length; i++) if (matches(i)) found[count++] = i;
  return found.subarray(0, count);
}

/** Puts indices, each given once, in the order of their durations. */
export function shortestFirst(columns: Columns, indices: Uint32Array): Uint32Array {
  const isGiven = marked(columns, indices);
  const ordered = new Uint32Array(indices.length);
  let count = 0;
  const { byDuration } = columns;
  for (let at = 0; at < byDuration.length; at++) {
    const i = byDuration[at] ?? 0;
    if (isGiven[i] === 1) ordered[count++] = i;
  }
  return ordered;
}

/** Puts indices, each given once, in the order of rows. */
export function inRowOrder(columns: Columns, indices: Uint32Array): Uint32Array {
  const isGiven = marked(columns, indices);
  const ordered = new Uint32Array(indices.length);
  let count = 0;
  for (let i = 0; i < isGiven.length; i++) if (isGiven[i] === 1) ordered[count++] = i;
  return ordered;
}

function marked({ length }: Columns, indices: Uint32Array): Uint8Array {
  const marks = new Uint8Array(length);
  for (let at = 0; at < indices.length; at++) marks[indices[at] ?? 0] = 1;
  return marks;
}

/** Keeps some indices, in their order. */
export function keep(indices: Uint32Array, isKept: (index: number) => boolean): Uint32Array {
  const kept = new Uint32Array(indices.length);
  let count = 0;
  for (let at = 0; at < indices.length; at++) {
    const i = indices[at] ?? 0;
    if (isKept(i)) kept[count++] = i;
  }
  return kept.subarray(0, count);
}

/** Makes a test of operations by their indices, for as long as the columns do not change. */
export function matcher(
  columns: Columns,
  filter: Filter,
  org: string | undefined,
  options: SelectOptions = {},
): (index: number) => boolean {
  const { startMs, durationUs, kind, isGone, reason } = columns.numbers;
  const outcome = "outcome" in options ? options.outcome : filter.outcome;
  const box = options.isBoxed === false ? undefined : filter.box;
  const fromMs = Math.max(options.sinceMs ?? filter.sinceMs, box?.fromMs ?? 0);
  const untilMs = Math.min(options.untilMs ?? filter.untilMs, box?.untilMs ?? Number.POSITIVE_INFINITY);
  const minUs = Math.max(filter.minUs, box?.minUs ?? 0);
  const maxUs = Math.min(filter.maxUs, box?.maxUs ?? Number.POSITIVE_INFINITY);
  const kindCode = filter.kind === undefined ? -1 : KINDS.indexOf(filter.kind);
  const tests = testsOf(columns, filter.words, org);
  const noReason = columns.reasons.find("") ?? -1;
  return (i) => {
    if (isGone[i] === 1) return false;
    const ms = startMs[i] ?? 0;
    if (ms < fromMs || ms >= untilMs) return false;
    const us = durationUs[i] ?? 0;
    if (us < minUs || us > maxUs) return false;
    if (kindCode >= 0 && kind[i] !== kindCode) return false;
    if (outcome !== undefined && (outcome === "ok") !== (reason[i] === noReason)) return false;
    for (let at = 0; at < tests.length; at++) if (!passes(tests[at], i)) return false;
    return true;
  };
}

/** Keeps those whose outcome percentiles are of: success, unless failures were asked for. */
export function measured(columns: Columns, selected: Uint32Array, filter: Filter): Uint32Array {
  const { reason } = columns.numbers;
  const noReason = columns.reasons.find("") ?? -1;
  const isFailed = filter.outcome === "failed";
  return keep(selected, (i) => (reason[i] !== noReason) === isFailed);
}

interface Test {
  readonly codes: Uint32Array;
  /** 1 for the numbers of texts that pass. */
  readonly isAllowed: Uint8Array;
}

function passes(test: Test | undefined, index: number): boolean {
  return test === undefined || test.isAllowed[test.codes[index] ?? 0] === 1;
}

function testsOf(columns: Columns, words: ReadonlyMap<Dimension, Words>, org: string | undefined): Test[] {
  const tests = [...words].map(([dimension, { included, excluded }]): Test => {
    const { values } = columns.texts[dimension];
    const passes = (text: string) => (included.size === 0 || included.has(text)) && !excluded.has(text);
    return {
      codes: columns.codes[dimension],
      isAllowed: Uint8Array.from(values, (text) => (passes(text) ? 1 : 0)),
    };
  });
  if (org === undefined) return tests;
  const isAllowed = Uint8Array.from(columns.texts.org.values, (text) => (text === org ? 1 : 0));
  return [{ codes: columns.codes.org, isAllowed }, ...tests];
}
