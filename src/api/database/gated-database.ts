import { Fault } from "../../lib/runtime/fault.ts";
import { startLoop } from "../../lib/runtime/lifecycle.ts";
import { logger } from "../../lib/runtime/log.ts";
import { within } from "../../lib/runtime/wait.ts";
import { migrate } from "../../lib/stores/migrate.ts";
import type { Database, Queries, Result, Statement, Transaction } from "../../lib/stores/postgres.ts";

/** A database, as the stores use it. */
export interface Transactions extends Queries {
  /** Runs `fn` in one transaction; see `Database.transaction`. */
  transaction<T>(fn: (tx: Transaction) => Promise<T>): Promise<T>;
}

const MIGRATIONS = new URL("../sql/", import.meta.url);
const RETRY_MS = 1_000;
/** An outage is said this often, not at every attempt. */
const TELL_MS = 30_000;
/** How long a query waits for a migration that is under way: an api that has just started must not refuse what it can soon do. */
const PATIENCE_MS = 2_000;

/**
 * The database behind a gate that opens once its schema is up to date. An api starts, and starts machines, without Postgres; what needs it is
 * told `DATABASE_UNAVAILABLE` until then.
 */
export class GatedDatabase implements Transactions {
  readonly #db: Database;
  readonly #url: string;
  #isReady = false;
  #attempt: Promise<void> = Promise.resolve();

  constructor(db: Database, url: string) {
    this.#db = db;
    this.#url = url;
  }

  /** Whether the schema is up to date. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Migrates in the background, again and again until it has worked; the answer stops that. */
  open(): () => Promise<void> {
    let toldAt = Number.NEGATIVE_INFINITY;
    const attempt = async () => {
      try {
        await this.migrate();
        void stop();
      } catch (error) {
        if (performance.now() - toldAt < TELL_MS) return;
        toldAt = performance.now();
        logger.warn("the database is not ready", { error });
      }
    };
    const stop = startLoop(RETRY_MS, RETRY_MS, attempt, { name: "migrate" });
    return stop;
  }

  /** Migrates now. */
  migrate(): Promise<void> {
    this.#attempt = this.#migrate();
    return this.#attempt;
  }

  async query<Row>(statement: Statement): Promise<Result<Row>> {
    await this.#whenReady();
    return orUnavailable(() => this.#db.query<Row>(statement));
  }

  async transaction<T>(fn: (tx: Transaction) => Promise<T>): Promise<T> {
    await this.#whenReady();
    return orUnavailable(() => this.#db.transaction(fn));
  }

  async #migrate(): Promise<void> {
    await migrate(this.#url, MIGRATIONS);
    if (!this.#isReady) logger.info("the database is ready");
    this.#isReady = true;
  }

  async #whenReady(): Promise<void> {
    if (this.#isReady) return;
    // Why it failed is for its own caller to say.
    await within(PATIENCE_MS, "migrating", () => this.#attempt).catch(() => undefined);
    if (!this.#isReady) throw notReady();
  }
}

/** Busy, too slow, gone, or in conflict with somebody again and again: to a caller they are one thing, try again later. */
async function orUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (err) {
    if (!(err instanceof Fault) || !err.reason.startsWith("DATABASE_")) throw err;
    const extra = { cause: err, retryAfterMs: RETRY_MS };
    throw new Fault(
      "UNAVAILABLE",
      "DATABASE_UNAVAILABLE",
      "the record cannot be reached; try again",
      { why: err.reason },
      extra,
    );
  }
}

function notReady(): Fault {
  return new Fault(
    "UNAVAILABLE",
    "DATABASE_UNAVAILABLE",
    "the database has not been reached since this api started",
    {},
    { retryAfterMs: RETRY_MS },
  );
}
