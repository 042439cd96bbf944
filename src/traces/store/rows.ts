import type { Span } from "../../lib/latency/span.ts";
import type { Summary } from "./summary.ts";
import type { Tier } from "./tiers.ts";

/** A span, and the same as JSON. */
export interface EncodedSpan {
  readonly span: Span;
  readonly json: string;
}

/** A span that is larger as JSON loses its events and links, and then its attributes. */
const MAX_SPAN_BYTES = 64 * 1024;

/** A summary as it is stored. */
export interface StoredSummary extends Summary {
  readonly row: number;
  /** When the last span arrived, in milliseconds since the epoch. */
  readonly receivedMs: number;
  /** When its first span arrived, or the first after it was sealed. */
  readonly openedMs: number;
  /** When it will be sealed; undefined: it is. */
  readonly dueMs: number | undefined;
  readonly tier: Tier;
  /** Within a tier the lowest is evicted first. */
  readonly rank: number;
}

/** Converts a row of the table `trace`. */
export function fromRow(row: Readonly<Record<string, unknown>>): StoredSummary {
  return {
    row: Number(row["row"]),
    traceId: String(row["trace_id"]),
    rootName: String(row["root_name"]),
    rootService: String(row["root_service"]),
    rootStartUs: Number(row["root_start_us"]),
    hasRoot: row["has_root"] === 1,
    startUs: Number(row["start_us"]),
    endUs: Number(row["end_us"]),
    spans: Number(row["spans"]),
    bytes: Number(row["bytes"]),
    dropped: Number(row["dropped"]),
    clientSpans: Number(row["client_spans"]),
    aboutMachine: row["about_machine"] === 1,
    owner: textOf(row["owner"]),
    clientOwner: textOf(row["client_owner"]),
    receivedMs: Number(row["received_ms"]),
    openedMs: Number(row["opened_ms"]),
    dueMs: row["due_ms"] === null ? undefined : Number(row["due_ms"]),
    // Written from summaries only.
    tier: String(row["tier"]) as Tier,
    rank: Number(row["rank"]),
  };
}

/** Columns of the table `trace` but `row`, in the order of {@link toRow}. */
export const COLUMNS = [
  ...["trace_id", "root_name", "root_service", "root_start_us", "has_root", "start_us", "end_us", "spans"],
  ...["bytes", "dropped", "client_spans", "about_machine", "owner", "client_owner"],
  ...["received_ms", "opened_ms", "due_ms", "tier", "rank"],
];

/** Converts a summary; the opposite of {@link fromRow}. */
export function toRow(summary: Omit<StoredSummary, "row">): (string | number | null)[] {
  return [
    ...[summary.traceId, summary.rootName, summary.rootService, summary.rootStartUs, Number(summary.hasRoot)],
    ...[summary.startUs, summary.endUs, summary.spans, summary.bytes, summary.dropped, summary.clientSpans],
    ...[Number(summary.aboutMachine), summary.owner ?? null, summary.clientOwner ?? null],
    ...[summary.receivedMs, summary.openedMs, summary.dueMs ?? null, summary.tier, summary.rank],
  ];
}

/** Cuts a span to size, and encodes it. */
export function encode(span: Span): EncodedSpan {
  const json = JSON.stringify(span);
  if (fits(json)) return { span, json };
  const { events: _events, links: _links, ...rest } = span;
  const shorter = JSON.stringify(rest);
  if (fits(shorter)) return { span: rest, json: shorter };
  const bare = { ...rest, attributes: {} };
  return { span: bare, json: JSON.stringify(bare) };
}

function fits(json: string): boolean {
  // A UTF-16 unit takes at most three bytes.
  return json.length * 3 <= MAX_SPAN_BYTES || Buffer.byteLength(json) <= MAX_SPAN_BYTES;
}

function textOf(value: unknown): string | undefined {
  return value === null ? undefined : String(value);
}
