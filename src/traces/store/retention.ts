import type { DatabaseSync } from "node:sqlite";
import { logger } from "../../lib/runtime/log.ts";
import { fromRow, type StoredSummary } from "./rows.ts";
import type { Sealing } from "./sealing.ts";
import { CAPPED, sampleRank, shareOf, type Tier, TierCounts, UNIFORM } from "./tiers.ts";

/** Bounds of the store. */
export interface Bounds {
  readonly keep: number;
  readonly budgetBytes: number;
}

/** Share of traces that is evicted at a time when the disk is full. */
const STEP_SHARE = 0.02;
/** Rows about what was removed: a reader that is further behind reads all anew. */
const MAX_REMOVED = 200_000;
const MAX_MARKS = 10_000;
const MAX_STATE = 10_000;

/** Evicts traces by ADR 37. Runs in the caller's transaction. */
export class Retention {
  readonly #db: DatabaseSync;
  readonly #bounds: Bounds;
  readonly #sealing: Sealing;
  readonly #seal: (trace: StoredSummary) => void;
  readonly #random: () => number;
  readonly #counts = new TierCounts();
  readonly #statements: ReturnType<typeof prepare>;

  /**
   * @param seal seals a trace that is to be evicted, so that its operations are counted
   * @param random from 0 to 1, without 1
   */
  constructor(
    db: DatabaseSync,
    bounds: Bounds,
    sealing: Sealing,
    seal: (trace: StoredSummary) => void,
    random: () => number,
  ) {
    this.#db = db;
    this.#bounds = bounds;
    this.#sealing = sealing;
    this.#seal = seal;
    this.#random = random;
    this.#statements = prepare(db);
    this.recount();
  }

  /** Counts what is stored, at first and after a rollback. */
  recount(): void {
    this.#counts.clear();
    for (const { tier, org, n } of this.#statements.count.all()) {
      // Written by this class.
      this.#counts.add(String(tier) as Tier, String(org), Number(n));
    }
  }

  /** Notes that a trace was added, or went from one tier or owner to others. */
  moved(before: StoredSummary | undefined, after: Omit<StoredSummary, "row">): void {
    if (before && before.tier === after.tier && orgOf(before) === orgOf(after)) return;
    if (before) this.#counts.add(before.tier, orgOf(before), -1);
    this.#counts.add(after.tier, orgOf(after), 1);
  }

  /** Evicts traces until all bounds are kept. */
  enforce(): void {
    const { keep, budgetBytes } = this.#bounds;
    for (const tier of CAPPED) {
      while (this.#counts.of(tier) > shareOf(tier, keep)) this.#evictOne(tier);
    }
    this.#shrinkTo(keep);
    while (usedBytes(this.#db) > budgetBytes && this.#counts.total > 0) {
      this.#shrinkTo(Math.floor(this.#counts.total * (1 - STEP_SHARE)));
    }
    // Returns freed pages to the file system, few at a time, so that no request waits long.
    if (pragma(this.#db, "freelist_count") > 256) this.#db.exec("pragma incremental_vacuum(256)");
  }

  /** Deletes old rows about traces that are gone. */
  prune(): void {
    for (const [table, column, keep] of [
      ["removed", "seq", MAX_REMOVED],
      ["mark", "row", MAX_MARKS],
      ["loss", "row", MAX_MARKS],
    ] as const) {
      this.#db
        .prepare(`delete from ${table} where ${column} <= (select max(${column}) from ${table}) - ?`)
        .run(keep);
    }
    // Versions of processes that came and went; those that are there are noted again.
    const { n } = this.#statements.countState.get() ?? {};
    if (Number(n) > MAX_STATE) this.#db.exec("delete from state where name like 'version %'");
  }

  #shrinkTo(keep: number): void {
    while (this.#counts.total > keep) this.#evictOne(this.#counts.largest(keep));
  }

  /** Evicts the first trace of a tier, or moves it to the sample. */
  #evictOne(tier: Tier): void {
    const row =
      tier === UNIFORM
        ? this.#statements.first.get(tier)
        : this.#statements.firstOfOrg.get(tier, this.#counts.largestOrg(tier));
    if (!row) {
      this.recount();
      return;
    }
    const trace = fromRow(row);
    // Clients' spans are in no operation.
    if (trace.dueMs !== undefined && tier !== "client") this.#sealOrForget(trace);
    else if (tier === "recent") this.#sample(trace);
    else this.#forget(trace);
  }

  #sealOrForget(trace: StoredSummary): void {
    try {
      this.#seal(trace);
    } catch (error) {
      // A full disk ends the transaction.
      if (!this.#db.isTransaction) throw error;
      // One that cannot be sealed must not keep others from being stored.
      logger.error("a trace could not be sealed and is dropped", { traced: trace.traceId, error });
      this.#forget(trace);
    }
  }

  #sample(trace: StoredSummary): void {
    const rank = sampleRank(trace.receivedMs, 1 - this.#random());
    this.#statements.move.run("sample", rank, trace.row);
    this.moved(trace, { ...trace, tier: "sample" });
  }

  #forget(trace: StoredSummary): void {
    this.#sealing.forget(trace);
    for (const remove of this.#statements.remove) remove.run(trace.row);
    this.#counts.add(trace.tier, orgOf(trace), -1);
  }
}

function orgOf(trace: Pick<StoredSummary, "owner" | "clientOwner">): string {
  return trace.owner ?? trace.clientOwner ?? "";
}

function prepare(db: DatabaseSync) {
  const first = "select * from trace where tier = ?";
  return {
    count: db.prepare(
      "select tier, coalesce(owner, client_owner, '') as org, count(*) as n from trace group by 1, 2",
    ),
    countState: db.prepare("select count(*) as n from state"),
    first: db.prepare(`${first} order by rank, row limit 1`),
    firstOfOrg: db.prepare(`${first} and coalesce(owner, client_owner, '') = ? order by rank, row limit 1`),
    move: db.prepare("update trace set tier = ?, rank = ? where row = ?"),
    remove: [
      ...["span", "packed", "machine_trace"].map((table) => `delete from ${table} where trace = ?`),
      "delete from trace where row = ?",
    ].map((sql) => db.prepare(sql)),
  };
}

function usedBytes(db: DatabaseSync): number {
  return (pragma(db, "page_count") - pragma(db, "freelist_count")) * pragma(db, "page_size");
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`pragma ${name}`).get()?.[name]);
}
