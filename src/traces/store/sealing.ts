import type { DatabaseSync } from "node:sqlite";
import { operationsOf } from "../../lib/latency/analysis/classify.ts";
import type { Operation } from "../../lib/latency/operation.ts";
import { fromRow, toRow } from "../../lib/latency/operation-rows.ts";
import { packSpans, type StoredSpan } from "../../lib/latency/packed-spans.ts";
import type { Span } from "../../lib/latency/span.ts";
import { logger } from "../../lib/runtime/log.ts";
import { type Counted, LatencyCounts } from "./latency-counts.ts";
import type { StoredSummary } from "./rows.ts";
import { Slowest } from "./slowest.ts";
import type { Tier } from "./tiers.ts";

/**
 * Operations of one trace; further ones are left out. A command that starts many machines is one
 * trace, and each of its starts has several of the 5,000 spans that there is room for.
 */
const MAX_OPERATIONS = 1_000;

/** A trace whose operations are known. */
interface Sealed {
  readonly tier: Tier;
  /** Traces that are among the slowest no longer. */
  readonly displaced: readonly number[];
}

/** Finds the operations of traces, counts them, and packs their spans. Runs in the caller's transaction. */
export class Sealing {
  readonly counts: LatencyCounts;
  readonly slowest: Slowest;
  readonly #statements: ReturnType<typeof prepare>;

  /** @param slowest operations of each kind, path and hour that keep their traces */
  constructor(db: DatabaseSync, slowest: number) {
    this.counts = new LatencyCounts(db);
    this.slowest = new Slowest(db, slowest);
    this.#statements = prepare(db);
  }

  /** Seals a trace, for the first time or anew. @param spans earliest first */
  seal(trace: StoredSummary, spans: readonly StoredSpan[]): Sealed {
    const { row, traceId } = trace;
    const operations = analyse(spans, trace);
    this.#replace(traceId, operations);
    this.#statements.putPacked.run(row, packSpans(spans));
    this.#statements.removeSpans.run(row);
    this.slowest.remove(row);
    const displaced: number[] = [];
    for (const operation of operations) {
      const other = operation.reason === "" ? this.slowest.add(operation, row) : undefined;
      if (other !== undefined && other !== row) displaced.push(other);
    }
    return { tier: this.#tierOf(trace, operations), displaced };
  }

  /** Deletes the operations of a trace that is evicted. They stay counted. */
  forget(trace: StoredSummary): void {
    this.#statements.logRemoved.run(trace.traceId);
    this.#statements.removeOperations.run(trace.traceId);
    this.slowest.remove(trace.row);
  }

  #tierOf(trace: StoredSummary, operations: readonly Operation[]): Tier {
    if (operations.some(({ reason }) => reason !== "")) return "failed";
    if (this.slowest.has(trace.row)) return "slow";
    if (operations.length > 0) return "recent";
    return trace.tier === "recent" ? "calls" : trace.tier;
  }

  /** Stores operations in place of those that are known of a trace, and counts what has changed. */
  #replace(traceId: string, operations: readonly Operation[]): void {
    const known = this.#statements.getOperations.all(traceId).map(fromRow);
    const before = new Map(known.map((operation) => [keyOf(operation), operation]));
    if (before.size > 0) {
      this.#statements.logRemoved.run(traceId);
      this.#statements.removeOperations.run(traceId);
    }
    for (const operation of operations) {
      this.#statements.putOperation.run(toRow(operation));
      // Unchanged ones are counted already.
      if (!before.delete(keyOf(operation))) this.counts.add(operation);
    }
    for (const gone of before.values()) this.counts.subtract(gone);
  }
}

function analyse(spans: readonly StoredSpan[], trace: StoredSummary): readonly Operation[] {
  // Clients may send spans of any name: what they say is shown, and never counted.
  const trusted = spans
    .filter(({ clientOrg }) => clientOrg === undefined)
    .map(({ json }): Span => JSON.parse(json));
  try {
    return operationsOf(trusted, trace.receivedMs).map(rounded).filter(isSound).slice(0, MAX_OPERATIONS);
  } catch (error) {
    logger.error("a trace could not be analysed", { traced: trace.traceId, error });
    return [];
  }
}

/** Corrections of clocks may leave parts of microseconds. */
function rounded(operation: Operation): Operation {
  const { startUs, durationUs, unexplainedUs, skewUs, lagMs } = operation;
  return {
    ...operation,
    ...{ startUs: Math.round(startUs), durationUs: Math.round(durationUs) },
    ...{ unexplainedUs: Math.round(unexplainedUs), skewUs: Math.round(skewUs), lagMs: Math.round(lagMs) },
  };
}

/** Whether the table takes it. */
function isSound(operation: Operation): boolean {
  return Object.values(operation).every((value) => typeof value !== "number" || Number.isSafeInteger(value));
}

function keyOf({ spanId, kind, path, reason, org, startUs, durationUs }: Counted): string {
  return JSON.stringify([spanId, kind, path, reason !== "", org, startUs, durationUs]);
}

function prepare(db: DatabaseSync) {
  const columns = db
    .prepare("select name from pragma_table_info('operation') where name <> 'row'")
    .all()
    .map(({ name }) => String(name));
  return {
    getOperations: db.prepare("select * from operation where trace_id = ?"),
    putOperation: db.prepare(
      `insert or ignore into operation (${columns.join()}) values (${columns.map((name) => `:${name}`).join()})`,
    ),
    logRemoved: db.prepare("insert into removed (operation) select row from operation where trace_id = ?"),
    removeOperations: db.prepare("delete from operation where trace_id = ?"),
    putPacked: db.prepare("insert or replace into packed (trace, spans) values (?, ?)"),
    removeSpans: db.prepare("delete from span where trace = ?"),
  };
}
