import type { DatabaseSync } from "node:sqlite";
import type { Operation } from "../../lib/latency/operation.ts";

const HOUR_MS = 3_600_000;

/** The slowest operations that succeeded, of each kind, path and hour. Runs in the caller's transaction. */
export class Slowest {
  readonly #keep: number;
  readonly #count;
  readonly #fastest;
  readonly #put;
  readonly #remove;
  readonly #removeTrace;
  readonly #has;

  /** @param keep of each kind, path and hour */
  constructor(db: DatabaseSync, keep: number) {
    this.#keep = keep;
    const group = "kind = ? and path = ? and hour_ms = ?";
    this.#count = db.prepare(`select count(*) as n from slow where ${group}`);
    this.#fastest = db.prepare(
      `select duration_us, trace from slow where ${group} order by duration_us, trace limit 1`,
    );
    this.#put = db.prepare("insert or ignore into slow values (?, ?, ?, ?, ?)");
    this.#remove = db.prepare(`delete from slow where ${group} and duration_us = ? and trace = ?`);
    this.#removeTrace = db.prepare("delete from slow where trace = ?");
    this.#has = db.prepare("select 1 from slow where trace = ? limit 1");
  }

  /**
   * Adds an operation if it is among the slowest.
   *
   * @returns the trace that is so no longer, if there is one
   */
  add(operation: Operation, trace: number): number | undefined {
    const hourMs = Math.floor(operation.startUs / 1_000 / HOUR_MS) * HOUR_MS;
    const group = [operation.kind, operation.path, hourMs] as const;
    const isFull = Number(this.#count.get(...group)?.["n"]) >= this.#keep;
    const fastest = isFull ? this.#fastest.get(...group) : undefined;
    if (fastest && Number(fastest["duration_us"]) >= operation.durationUs) return undefined;
    this.#put.run(...group, operation.durationUs, trace);
    if (!fastest) return undefined;
    const displaced = Number(fastest["trace"]);
    this.#remove.run(...group, Number(fastest["duration_us"]), displaced);
    return this.has(displaced) ? undefined : displaced;
  }

  has(trace: number): boolean {
    return this.#has.get(trace) !== undefined;
  }

  remove(trace: number): void {
    this.#removeTrace.run(trace);
  }
}
