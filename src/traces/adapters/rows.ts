import type { Summary } from "../domain/summary.ts";

/** A row of the table `trace`. A type, not an interface, so that it may be handed over as named parameters. */
export type SummaryRow = {
  trace_id: string;
  root_name: string;
  root_service: string;
  root_start_us: number;
  has_root: number;
  start_us: number;
  end_us: number;
  spans: number;
  bytes: number;
  dropped: number;
  client_spans: number;
  about_machine: number;
  owner: string | null;
  client_owner: string | null;
  received_ms: number;
};

/** What a row of the table `trace` says. */
export function toSummary(row: Record<string, unknown>): Summary & { readonly receivedMs: number } {
  // The tables are strict and written by this program only, so columns have the types of SummaryRow.
  const r = row as SummaryRow;
  return {
    traceId: r.trace_id,
    rootName: r.root_name,
    rootService: r.root_service,
    rootStartUs: r.root_start_us,
    hasRoot: r.has_root === 1,
    startUs: r.start_us,
    endUs: r.end_us,
    spans: r.spans,
    bytes: r.bytes,
    dropped: r.dropped,
    clientSpans: r.client_spans,
    aboutMachine: r.about_machine === 1,
    owner: r.owner ?? undefined,
    clientOwner: r.client_owner ?? undefined,
    receivedMs: r.received_ms,
  };
}
