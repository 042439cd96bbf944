import pg from "pg";
import { type Span, SpanKind, withSpan } from "../otel/tracing.ts";
import { Fault } from "../runtime/fault.ts";
import { logger } from "../runtime/log.ts";

/** One SQL statement, prepared once per connection under its name. */
export interface Statement {
  /** Unique in the program; the same name always means the same text. */
  readonly name: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

/** What a statement answered. */
export interface Result<Row> {
  readonly rows: readonly Row[];
  /** Rows returned or changed. */
  readonly rowCount: number;
}

/** Whatever runs statements: the database itself, or a transaction. */
export interface Queries {
  /**
   * Runs one statement.
   *
   * @throws Fault UNAVAILABLE / `DATABASE_UNAVAILABLE` or `DATABASE_BUSY`, DEADLINE_EXCEEDED / `DATABASE_TIMEOUT`,
   *   ABORTED / `DATABASE_CONFLICT`; anything else as Postgres reports it
   */
  query<Row>(statement: Statement): Promise<Result<Row>>;
}

/** A transaction. Statements that do not wait for each other travel together, behind `begin`: all of them cost one round trip. */
export interface Transaction extends Queries {
  /** Runs the last statement, with the commit right behind it: one round trip for both. What it answers cannot change what is committed. */
  commit<Row>(statement: Statement): Promise<Result<Row>>;
}

/** How a {@link Database} is reached and bounded. */
export interface DatabaseOptions {
  /** `postgres://user:password@host:port/name`; a unix socket as `postgres:///name?host=/directory&user=...`. */
  readonly url: string;
  /** Connections, at most. Default 10. */
  readonly maxConnections?: number;
  /** How long to wait for a connection, in milliseconds. Default 2,000. */
  readonly connectTimeoutMs?: number;
  /** How long the server works on one statement, in milliseconds. Default 5,000. */
  readonly statementTimeoutMs?: number;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName?: string;
}

/** A pool of connections to Postgres in which every wait is bounded. */
export class Database implements Queries {
  readonly #pool: pg.Pool;
  readonly #maxWaiting: number;
  readonly #namespace: string;
  #closing: Promise<void> | undefined;

  constructor(options: DatabaseOptions) {
    const max = options.maxConnections ?? 10;
    const statementTimeoutMs = options.statementTimeoutMs ?? 5_000;
    this.#maxWaiting = max * WAITING_PER_CONNECTION;
    this.#namespace = databaseName(options.url);
    this.#pool = new pg.Pool({
      connectionString: options.url,
      max,
      connectionTimeoutMillis: options.connectTimeoutMs ?? 2_000,
      statement_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: statementTimeoutMs * 2,
      // For a server that has stopped answering altogether: a little later than its own timeout.
      query_timeout: statementTimeoutMs + 1_000,
      keepAlive: true,
      // Statements of one transaction need not wait for each other's answers.
      pipeline: true,
      application_name: options.applicationName ?? "windhover",
    });
    // An idle connection that breaks is reported here, and would end the process if nobody listened.
    this.#pool.on("error", (error) => logger.warn("an idle database connection broke", { error }));
  }

  async query<Row>(statement: Statement): Promise<Result<Row>> {
    return traced(statement, this.#namespace, () =>
      this.#withConnection((client) => runOn<Row>(client, statement)),
    );
  }

  /**
   * Runs `fn` in one transaction: committed when it returns, rolled back when it throws. Keep it short, with no call to
   * another service inside. After a conflict (deadlock, serialisation) `fn` is run again, up to three times in all.
   */
  async transaction<T>(fn: (tx: Transaction) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#withConnection((client) => this.#transact(client, fn));
      } catch (err) {
        const conflict = err instanceof Fault && err.reason === "DATABASE_CONFLICT";
        if (!conflict || attempt >= TRANSACTION_ATTEMPTS) throw err;
      }
    }
  }

  /** Closes the pool once its connections are idle. */
  close(): Promise<void> {
    this.#closing ??= this.#pool.end();
    return this.#closing;
  }

  async #transact<T>(client: pg.PoolClient, fn: (tx: Transaction) => Promise<T>): Promise<T> {
    let isCommitted = false;
    const query = <Row>(statement: Statement) =>
      traced(statement, this.#namespace, () => runOn<Row>(client, statement));
    const tx: Transaction = {
      query,
      async commit<Row>(statement: Statement) {
        isCommitted = true;
        const [result] = await Promise.all([query<Row>(statement), query(COMMIT)]);
        return result;
      },
    };
    // Not waited for: the first statement goes right behind it. It fails only with the connection, and then everything does.
    const begun = query({ name: "tx_begin", text: "begin" });
    begun.catch(ignore);
    try {
      const result = await fn(tx);
      if (!isCommitted) await Promise.all([begun, query(COMMIT)]);
      return result;
    } catch (err) {
      // Fails only when the connection is broken, and then Postgres rolls back by itself.
      await query({ name: "tx_rollback", text: "rollback" }).catch(ignore);
      throw err;
    }
  }

  async #withConnection<T>(fn: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    if (this.#pool.waitingCount >= this.#maxWaiting) throw busy();
    let client: pg.PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (err) {
      throw toFault(err, true);
    }
    // A connection that breaks under us fails the query as well; unheard, its event would end the process.
    client.on("error", ignore);
    let broken = false;
    try {
      return await fn(client);
    } catch (err) {
      broken = err instanceof Fault && err.code === "UNAVAILABLE";
      throw err;
    } finally {
      client.off("error", ignore);
      client.release(broken);
    }
  }
}

/** The name of the constraint that refused a row because one like it exists; undefined for any other error. */
export function uniqueViolation(err: unknown): string | undefined {
  return err instanceof pg.DatabaseError && err.code === "23505" ? err.constraint : undefined;
}

const WAITING_PER_CONNECTION = 32;
const TRANSACTION_ATTEMPTS = 3;
const COMMIT: Statement = { name: "tx_commit", text: "commit" };

async function runOn<Row>(client: pg.PoolClient, statement: Statement): Promise<Result<Row>> {
  try {
    const { name, text, values } = statement;
    // The rows' shape is the statement's own affair: whoever wrote its text declares it.
    const result = await client.query({ name, text, values: values ? [...values] : [] });
    return { rows: result.rows as Row[], rowCount: result.rowCount ?? 0 };
  } catch (err) {
    throw toFault(err, false);
  }
}

/** Below a parent only: a background loop's queries would each be a trace of their own. */
function traced<T>(statement: Statement, namespace: string, run: () => Promise<T>): Promise<T> {
  const [, verb = "QUERY"] = /^\s*(\w+)/.exec(statement.text) ?? [];
  const [, target] = /\b(?:from|into|update)\s+"?([\w.]+)/i.exec(statement.text) ?? [];
  const operation = verb.toUpperCase();
  const summary = target === undefined ? operation : `${operation} ${target}`;
  const attributes = {
    "db.system.name": "postgresql",
    "db.namespace": namespace,
    "db.operation.name": operation,
    "db.query.summary": summary,
    "db.query.text": statement.text,
    ...(target === undefined ? {} : { "db.collection.name": target }),
  };
  const work = async (span: Span) => {
    try {
      return await run();
    } catch (err) {
      const cause = err instanceof Fault ? err.cause : err;
      if (cause instanceof pg.DatabaseError && cause.code) {
        span.setAttribute("db.response.status_code", cause.code);
      }
      throw err;
    }
  };
  return withSpan(summary, attributes, work, { kind: SpanKind.CLIENT, onlyBelowParent: true });
}

/**
 * Postgres is going, coming, or short of connections, memory or disk; or it only reads, as a primary does that has just been replaced, and its
 * replacement until it has been promoted. The connection is given up: the next one may lead to another server.
 */
const UNAVAILABLE_STATES = /^(?:08...|57P0[1-5]|53...|25006)$/;
/** A deadlock, or a conflict of two transactions. */
const CONFLICTS = new Set(["40001", "40P01"]);
const LOST =
  /connection terminated|connection ended|connect.*timeout|timeout.*connect|query read timeout|connection error|not queryable|pool after calling end/i;
const SYSTEM_ERRORS =
  /^(?:ECONN\w+|ENOENT|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND|EACCES)$/;

function toFault(err: unknown, connecting: boolean): unknown {
  if (err instanceof pg.DatabaseError) {
    const state = err.code ?? "";
    if (UNAVAILABLE_STATES.test(state)) return unavailable(err);
    if (CONFLICTS.has(state)) {
      return new Fault("ABORTED", "DATABASE_CONFLICT", "somebody else changed the same", {}, { cause: err });
    }
    return state === "57014" ? timedOut(err) : err;
  }
  if (!(err instanceof Error)) return err;
  const code = "code" in err ? String(err.code) : "";
  return connecting || SYSTEM_ERRORS.test(code) || LOST.test(err.message) ? unavailable(err) : err;
}

function unavailable(cause: unknown): Fault {
  return new Fault("UNAVAILABLE", "DATABASE_UNAVAILABLE", "the database cannot be reached", {}, { cause });
}

function busy(): Fault {
  const extra = { retryAfterMs: 1_000 };
  return new Fault("UNAVAILABLE", "DATABASE_BUSY", "too many requests wait for the database", {}, extra);
}

function timedOut(cause: unknown): Fault {
  return new Fault("DEADLINE_EXCEEDED", "DATABASE_TIMEOUT", "the database took too long", {}, { cause });
}

function databaseName(url: string): string {
  return /^[a-z]+:\/\/[^/]*\/([^?]*)/.exec(url)?.[1] ?? "";
}

function ignore(): void {}
