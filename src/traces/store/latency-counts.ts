import type { DatabaseSync } from "node:sqlite";
import type { Histogram } from "hdr-histogram-js";
import {
  decodeHistogram,
  encodeHistogram,
  newHistogram,
  recordDuration,
} from "../../lib/latency/histogram.ts";
import type { Operation } from "../../lib/latency/operation.ts";

/** The part of an operation that is counted. */
export type Counted = Pick<
  Operation,
  "spanId" | "kind" | "path" | "reason" | "org" | "startUs" | "durationUs"
>;

const TABLES = [
  { name: "latency", column: "minute_ms", stepMs: 60_000, keepMs: 26 * 3_600_000 },
  { name: "latency_hour", column: "hour_ms", stepMs: 3_600_000, keepMs: 92 * 24 * 3_600_000 },
] as const;
/** Rows of each table; the oldest go first. */
const MAX_ROWS = 100_000;
/** Histograms in memory. One takes up to 100 KiB. */
const MAX_CACHED = 128;

interface Entry {
  readonly table: (typeof TABLES)[number];
  readonly key: readonly [timeMs: number, org: string, kind: string, path: string, failed: number];
  readonly histogram: Histogram;
  maxUs: number;
  isDirty: boolean;
}

/** Counts operations by minute and by hour, in the caller's transaction. */
export class LatencyCounts {
  readonly #db: DatabaseSync;
  readonly #entries = new Map<string, Entry>();
  readonly #read;
  readonly #write;
  readonly #remove;

  constructor(db: DatabaseSync) {
    this.#db = db;
    const where = (column: string) => `${column} = ? and org = ? and kind = ? and path = ? and failed = ?`;
    this.#read = TABLES.map(({ name, column }) =>
      db.prepare(`select histogram, max_us from ${name} where ${where(column)}`),
    );
    this.#remove = TABLES.map(({ name, column }) => db.prepare(`delete from ${name} where ${where(column)}`));
    this.#write = TABLES.map(({ name }) =>
      db.prepare(`insert or replace into ${name} values (?, ?, ?, ?, ?, ?, ?, ?)`),
    );
  }

  add(operation: Counted): void {
    for (const entry of this.#entriesOf(operation)) {
      recordDuration(entry.histogram, operation.durationUs);
      entry.maxUs = Math.max(entry.maxUs, operation.durationUs);
    }
  }

  /** Takes back what was added. */
  subtract(operation: Counted): void {
    const one = newHistogram();
    recordDuration(one, operation.durationUs);
    for (const entry of this.#entriesOf(operation)) {
      // It may have been pruned since.
      if (entry.histogram.totalCount > 0) entry.histogram.subtract(one);
      if (operation.durationUs >= entry.maxUs) entry.maxUs = entry.histogram.getValueAtPercentile(100);
    }
  }

  /** Writes what has changed. */
  flush(): void {
    for (const entry of this.#entries.values()) {
      if (!entry.isDirty) continue;
      const { histogram, key, maxUs, table } = entry;
      const count = histogram.totalCount;
      const index = TABLES.indexOf(table);
      if (count > 0) this.#write[index]?.run(...key, count, maxUs, encodeHistogram(histogram));
      else this.#remove[index]?.run(...key);
      entry.isDirty = false;
    }
    for (const key of this.#entries.keys()) {
      if (this.#entries.size <= MAX_CACHED) break;
      this.#entries.delete(key);
    }
  }

  /** Forgets what was not written, after a rollback. */
  reset(): void {
    this.#entries.clear();
  }

  /** Deletes old rows. */
  prune(nowMs: number): void {
    for (const { name, column, keepMs } of TABLES) {
      this.#db.prepare(`delete from ${name} where ${column} < ?`).run(nowMs - keepMs);
      const excess = Number(this.#db.prepare(`select count(*) as n from ${name}`).get()?.["n"]) - MAX_ROWS;
      if (excess <= 0) continue;
      this.#db
        .prepare(
          `delete from ${name} where ${column} <= (select ${column} from ${name} order by ${column} limit 1 offset ?)`,
        )
        .run(excess - 1);
    }
    this.reset();
  }

  #entriesOf(operation: Counted): Entry[] {
    const startMs = operation.startUs / 1_000;
    return TABLES.map((table, index) => {
      const timeMs = Math.floor(startMs / table.stepMs) * table.stepMs;
      const key = [
        timeMs,
        operation.org,
        operation.kind,
        operation.path,
        Number(operation.reason !== ""),
      ] as const;
      const id = JSON.stringify([index, ...key]);
      const entry = this.#entries.get(id) ?? this.#load(table, index, key);
      // The last used are evicted last.
      this.#entries.delete(id);
      this.#entries.set(id, entry);
      entry.isDirty = true;
      return entry;
    });
  }

  #load(table: Entry["table"], index: number, key: Entry["key"]): Entry {
    const row = this.#read[index]?.get(...key);
    const histogram = row ? decodeHistogram(String(row["histogram"])) : newHistogram();
    return { table, key, histogram, maxUs: Number(row?.["max_us"] ?? 0), isDirty: false };
  }
}
