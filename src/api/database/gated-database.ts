import { Fault } from "../../lib/faults/fault.ts";
import { startLoop } from "../../lib/runtime/lifecycle.ts";
import { logger } from "../../lib/runtime/log.ts";
import { within } from "../../lib/runtime/wait.ts";
import { migrate } from "../../lib/stores/migrate.ts";
import type { Database, Queries, Result, Statement, Transaction } from "../../lib/stores/postgres.ts";

export interface Transactions extends Queries {
  /** See `Database.transaction`. */
  transaction<T>(fn: (tx: Transaction) => Promise<T>): Promise<T>;
}

const MIGRATIONS = new URL("../sql/", import.meta.url);
const RETRY_MS = 1_000;
const LOG_INTERVAL_MS = 30_000;
/** How long a query waits for a migration under way, when an api has just started. */
const MIGRATION_WAIT_MS = 2_000;

/**
 * A database that serves queries once its schema is up to date. Until then, and during outages,
 * queries fail with UNAVAILABLE / `DATABASE_UNAVAILABLE`.
 */
export class GatedDatabase implements Transactions {
  readonly #db: Database;
  readonly #url: string;
  #isReady = false;
  #migration: Promise<void> = Promise.resolve();

  constructor(db: Database, url: string) {
    this.#db = db;
    this.#url = url;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Migrates in the background until it succeeds. Returns a function that stops trying. */
  open(): () => Promise<void> {
    let loggedAt = Number.NEGATIVE_INFINITY;
    const attempt = async () => {
      try {
        await this.migrate();
        void stop();
      } catch (error) {
        if (performance.now() - loggedAt < LOG_INTERVAL_MS) return;
        loggedAt = performance.now();
        logger.warn("the database is not ready", { error });
      }
    };
    const stop = startLoop(RETRY_MS, RETRY_MS, attempt, { name: "migrate" });
    return stop;
  }

  migrate(): Promise<void> {
    this.#migration = this.#migrate();
    return this.#migration;
  }

  async query<Row>(statement: Statement): Promise<Result<Row>> {
    await this.#whenReady();
    return withOneFault(() => this.#db.query<Row>(statement));
  }

  async transaction<T>(fn: (tx: Transaction) => Promise<T>): Promise<T> {
    await this.#whenReady();
    return withOneFault(() => this.#db.transaction(fn));
  }

  async #migrate(): Promise<void> {
    await migrate(this.#url, MIGRATIONS);
    if (!this.#isReady) logger.info("the database is ready");
    this.#isReady = true;
  }

  async #whenReady(): Promise<void> {
    if (this.#isReady) return;
    // `open` logs why it failed.
    await within(MIGRATION_WAIT_MS, "migrating", () => this.#migration).catch(() => undefined);
    if (!this.#isReady) throw unavailable("the database has not been reached since this api started");
  }
}

/** Callers handle one fault, whether the database is busy, too slow, gone or in conflict. */
async function withOneFault<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (err) {
    if (!(err instanceof Fault) || !err.reason.startsWith("DATABASE_")) throw err;
    throw unavailable("the database cannot be reached; try again", err);
  }
}

function unavailable(message: string, cause?: Fault): Fault {
  const facts = cause ? { why: cause.reason } : {};
  return new Fault("UNAVAILABLE", "DATABASE_UNAVAILABLE", message, facts, {
    ...(cause ? { cause } : {}),
    retryAfterMs: RETRY_MS,
  });
}
