import type { DatabaseSync } from "node:sqlite";
import { type StoredSpan, unpackSpans } from "./packed-spans.ts";

/** Reads the spans of the trace in row `trace`, sealed or not, earliest first. */
export function readSpans(db: DatabaseSync, trace: number): StoredSpan[] {
  const packed = db.prepare("select spans from packed where trace = ?").get(trace)?.["spans"];
  if (packed instanceof Uint8Array) return unpackSpans(packed);
  return db
    .prepare("select client_org, body from span where trace = ? order by start_us, span_id")
    .all(trace)
    .map((row) => ({
      json: String(row["body"]),
      clientOrg: row["client_org"] === null ? undefined : String(row["client_org"]),
    }));
}
