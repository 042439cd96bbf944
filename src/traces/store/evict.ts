import type { DatabaseSync } from "node:sqlite";

/** Bounds of the store. */
export interface Bounds {
  readonly keep: number;
  readonly budgetBytes: number;
}

/** Share of traces with spans of clients only, so that no client can push out those of services. */
const CLIENT_SHARE = 0.1;
/** Share of traces about no machine: regular calls would push out all others within minutes. */
const BACKGROUND_SHARE = 0.25;
/** Share of traces that is evicted at a time, so that it does not happen for every span. */
const STEP_SHARE = 0.05;

/** Evicts the traces that have been silent longest. Runs in the caller's transaction. */
export function evict(db: DatabaseSync, bounds: Bounds): void {
  const limit = (where: string, share: number) =>
    forget(db, count(db, where) - Math.ceil(bounds.keep * share), where);
  limit("where client_spans = spans", CLIENT_SHARE);
  limit("where about_machine = 0 and client_spans = 0", BACKGROUND_SHARE);
  forget(db, count(db, "") - bounds.keep, "");
  while (usedBytes(db) > bounds.budgetBytes) {
    const all = count(db, "");
    if (all === 0) return;
    forget(db, Math.ceil(all * STEP_SHARE), "");
  }
  // Returns freed pages to the file system, few at a time, so that no request waits long.
  if (freePages(db) > 256) db.exec("pragma incremental_vacuum(1024)");
}

function forget(db: DatabaseSync, howMany: number, where: string): void {
  if (howMany <= 0) return;
  const oldest = db
    .prepare(`select trace_id from trace ${where} order by received_ms, trace_id limit ?`)
    .all(howMany)
    .map((row) => String(row["trace_id"]));
  for (const table of ["span", "machine_trace", "trace"]) {
    const remove = db.prepare(`delete from ${table} where trace_id = ?`);
    for (const traceId of oldest) remove.run(traceId);
  }
}

function count(db: DatabaseSync, where: string): number {
  return Number(db.prepare(`select count(*) as n from trace ${where}`).get()?.["n"]);
}

function usedBytes(db: DatabaseSync): number {
  return (pragma(db, "page_count") - freePages(db)) * pragma(db, "page_size");
}

function freePages(db: DatabaseSync): number {
  return pragma(db, "freelist_count");
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`pragma ${name}`).get()?.[name]);
}
