import type { Columns } from "../columns/columns.ts";
import { select } from "../columns/select.ts";
import type { Held, Question } from "../queries/question.ts";
import { latest } from "../queries/rows.ts";
import type { TraceSource } from "../source.ts";
import { csvOf } from "./csv.ts";
import { resourceSpansOf } from "./otlp.ts";
import { speedscopeOf } from "./speedscope.ts";

export const FORMATS = ["otlp", "json", "speedscope", "csv"] as const;
export type Format = (typeof FORMATS)[number];

/** Operations of one download. Formats with spans read each trace; speedscope shows a list of profiles. */
export const MAX_EXPORTED: Readonly<Record<Format, number>> = {
  otlp: 1_000,
  json: 100_000,
  speedscope: 100,
  csv: 1_000_000,
};

type Indices = Uint32Array | readonly number[];

/** A download. */
export interface Export {
  readonly type: string;
  readonly name: string;
  readonly text: Iterable<string>;
}

/** Format and contents of a download. */
interface ExportOptions {
  readonly format: Format;
  /** Only of one trace, whatever the filter. */
  readonly trace: string | undefined;
  /** The newest so many operations. */
  readonly limit: number;
}

/** Makes a download of what a question selects, oldest first, piece by piece. */
export function exportOf(
  { memory, source }: { readonly memory: Held; readonly source: TraceSource },
  question: Question,
  { format, trace, limit }: ExportOptions,
): Export {
  const { columns } = memory;
  const read = columns.reader();
  const { org } = question;
  const indices = trace === undefined ? selected(columns, question, limit) : ofTrace(columns, trace, org);
  // A client may read slowly, and operations come and go meanwhile.
  const operations = {
    *[Symbol.iterator]() {
      for (const i of indices) yield read(i);
    },
  };
  const name = `windhover-${trace ?? question.filter.kind ?? "operations"}`;
  switch (format) {
    case "csv":
      return {
        type: "text/csv; charset=utf-8",
        name: `${name}.csv`,
        text: inPieces(csvOf(operations, hopsIn(columns, indices))),
      };
    case "json":
      return {
        type: "application/json",
        name: `${name}.json`,
        text: inPieces(listOf("operations", operations)),
      };
    case "otlp": {
      const ids = trace === undefined ? new Set(Array.from(operations, ({ traceId }) => traceId)) : [trace];
      return { type: "application/json", name: `${name}.otlp.json`, text: otlpOf(source, ids, org) };
    }
    case "speedscope": {
      const profiled = Array.from(operations, ({ traceId, spanId, kind, path }) => ({
        ...{ name: `${kind} ${path} ${traceId}`, spanId },
        spans: source.traceOf(traceId, org)?.serviceSpans ?? [],
      }));
      const text = [JSON.stringify(speedscopeOf(profiled))];
      return { type: "application/json", name: `${name}.speedscope.json`, text };
    }
  }
}

function selected(columns: Columns, { filter, org }: Question, limit: number): Uint32Array {
  return latest(columns, select(columns, filter, org), limit).reverse();
}

function ofTrace(columns: Columns, trace: string, org: string | undefined): number[] {
  const { codes, texts, numbers } = columns;
  return columns.ids
    .withTrace(trace, columns.length)
    .filter((i) => numbers.isGone[i] === 0 && (org === undefined || texts.org.textOf(codes.org[i]) === org));
}

function hopsIn({ hops, hopNames }: Columns, indices: Indices): string[] {
  const used = hops.flatMap((times, code) => {
    for (const i of indices) if ((times[i] ?? 0) > 0) return hopNames.textOf(code);
    return [];
  });
  return used.toSorted();
}

const PIECE_CHARACTERS = 64 * 1024;

/** Joins short texts: each piece goes through several streams. */
function* inPieces(texts: Iterable<string>): Generator<string> {
  let piece = "";
  for (const text of texts) {
    piece += text;
    if (piece.length < PIECE_CHARACTERS) continue;
    yield piece;
    piece = "";
  }
  yield piece;
}

function* otlpOf(source: TraceSource, ids: Iterable<string>, org: string | undefined): Generator<string> {
  function* resources() {
    for (const id of ids) yield* resourceSpansOf(source.traceOf(id, org)?.spans ?? []);
  }
  yield* listOf("resourceSpans", resources());
}

function* listOf(name: string, items: Iterable<object>): Generator<string> {
  yield `{${JSON.stringify(name)}:[`;
  let isFirst = true;
  for (const item of items) {
    yield `${isFirst ? "" : ","}${JSON.stringify(item)}`;
    isFirst = false;
  }
  yield "]}";
}
