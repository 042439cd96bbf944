import { busyFleet } from "../../../test/support/console/busy-fleet.ts";
import type { StoredOperation } from "../../lib/latency/operation-rows.ts";
import type { Filter } from "../parameters/filter.ts";
import { readFilter } from "../parameters/filter.ts";
import { Columns } from "./columns.ts";

/** 31 January 2026, noon. */
export const NOON_MS = Date.UTC(2026, 0, 31, 12);

/** An operation whose fields do not matter but for those given. */
export function operation(fields: Partial<StoredOperation> = {}): StoredOperation {
  const row = fields.row ?? 1;
  return {
    row,
    traceId: row.toString(16).padStart(32, "a"),
    spanId: row.toString(16).padStart(16, "b"),
    kind: "start",
    startUs: (NOON_MS - 60_000) * 1_000,
    durationUs: 30_000,
    reason: "",
    path: "warm",
    notFaster: "",
    org: "acme",
    app: "web",
    machineId: "0000a0000000aa",
    host: "h1",
    region: "ord",
    image: "hello",
    size: "shared-1x-256",
    version: "1.0.0",
    queueLength: 0,
    concurrency: 1,
    poolSize: 4,
    refillMs: -1,
    hops: {},
    unexplainedUs: 0,
    skewUs: 0,
    lagMs: 300,
    ...fields,
  };
}

/** Columns of operations in rows 1, 2, ... */
export function columnsOf(operations: readonly Partial<StoredOperation>[]): Columns {
  const columns = new Columns();
  columns.append(operations.map((fields, i) => operation({ row: i + 1, ...fields })));
  return columns;
}

/** Durations as operations. */
export function lasting(...durationsUs: readonly number[]): Partial<StoredOperation>[] {
  return durationsUs.map((durationUs) => ({ durationUs }));
}

/** A filter as the page's URL has it, at noon. */
export function filterOf(query = ""): Filter {
  return readFilter(new URLSearchParams(query), NOON_MS);
}

/** A busy fleet until noon. */
export function fleetUntilNoon(count: number, hours: number, seed = 1): StoredOperation[] {
  return busyFleet(count, hours, NOON_MS, seed);
}
