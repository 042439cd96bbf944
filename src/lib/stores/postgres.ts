import pg from "pg";
import { Fault } from "../faults/fault.ts";
import { type Attributes, type Span, SpanKind, withSpan } from "../otel/tracing.ts";
import { logger } from "../runtime/log.ts";

/** A SQL statement, prepared once per connection under its name. */
export interface Statement {
  /** Unique in the program. One name stands for one text. */
  readonly name: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

export interface Result<Row> {
  readonly rows: readonly Row[];
  readonly rowCount: number;
}

/** Runs statements: the database, or a transaction. */
export interface Queries {
  /**
   * Runs one statement.
   *
   * @throws Fault UNAVAILABLE / `DATABASE_UNAVAILABLE` or `DATABASE_BUSY`, DEADLINE_EXCEEDED / `DATABASE_TIMEOUT`,
   *   ABORTED / `DATABASE_CONFLICT`; anything else as Postgres reports it
   */
  query<Row>(statement: Statement): Promise<Result<Row>>;
}

/** A transaction. Statements that do not wait for each other are sent together with `begin`, in one round trip. */
export interface Transaction extends Queries {
  /** Runs the last statement and commits, in one round trip. The commit does not depend on the answer. */
  commit<Row>(statement: Statement): Promise<Result<Row>>;
}

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/name`; a unix socket as `postgres:///name?host=/directory&user=...`. */
  readonly url: string;
  /** Default: 10. */
  readonly maxConnections?: number;
  /** Longest wait for a connection. Default: 2,000. */
  readonly connectTimeoutMs?: number;
  /** Longest that the server works on one statement. Default: 5,000. */
  readonly statementTimeoutMs?: number;
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
      // For a server that does not answer at all: a little later than its own timeout.
      query_timeout: statementTimeoutMs + 1_000,
      keepAlive: true,
      pipeline: true,
      application_name: options.applicationName ?? "windhover",
    });
    // The event of an idle connection that breaks; without a listener it would end the process.
    this.#pool.on("error", (error) => logger.warn("an idle database connection broke", { error }));
  }

  async query<Row>(statement: Statement): Promise<Result<Row>> {
    return traced(statement, this.#namespace, () =>
      this.#withConnection((client) => runOn<Row>(client, statement)),
    );
  }

  /**
   * Runs `fn` in a transaction: commits when it returns, rolls back when it throws. Keep it short, without calls to other
   * services. After a conflict (deadlock, serialisation) `fn` runs again, up to three times in all.
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

  /** Closes the pool when its connections are idle. */
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
    // Not awaited, so that the first statement is sent along. It fails only when the connection does, and then all fail.
    const begun = query({ name: "tx_begin", text: "begin" });
    begun.catch(ignore);
    try {
      const result = await fn(tx);
      if (!isCommitted) await Promise.all([begun, query(COMMIT)]);
      return result;
    } catch (err) {
      // Fails only when the connection is broken; then Postgres rolls back by itself.
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
    // A broken connection fails the query too; its event without a listener would end the process.
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

const WAITING_PER_CONNECTION = 32;
const TRANSACTION_ATTEMPTS = 3;
const COMMIT: Statement = { name: "tx_commit", text: "commit" };

async function runOn<Row>(client: pg.PoolClient, statement: Statement): Promise<Result<Row>> {
  try {
    const { name, text, values } = statement;
    // Who writes the text declares the shape of its rows.
    const result = await client.query({ name, text, values: values ? [...values] : [] });
    return { rows: result.rows as Row[], rowCount: result.rowCount ?? 0 };
  } catch (err) {
    throw toFault(err, false);
  }
}

/** A statement, for its span. */
interface Described {
  readonly summary: string;
  readonly attributes: Attributes;
}

/** By text: there are few, and each is run often. */
const described = new Map<string, Described>();
const MAX_DESCRIBED = 1_000;

function describe(text: string): Described {
  const known = described.get(text);
  if (known) return known;
  const [, verb = "QUERY"] = /^\s*(\w+)/.exec(text) ?? [];
  const [, target] = /\b(?:from|into|update)\s+"?([\w.]+)/i.exec(text) ?? [];
  const operation = verb.toUpperCase();
  const summary = target === undefined ? operation : `${operation} ${target}`;
  const attributes = {
    "db.system.name": "postgresql",
    "db.operation.name": operation,
    "db.query.summary": summary,
    "db.query.text": text,
    ...(target === undefined ? {} : { "db.collection.name": target }),
  };
  if (described.size < MAX_DESCRIBED) described.set(text, { summary, attributes });
  return { summary, attributes };
}

/** Only below a parent: each query of a background loop would be a trace of its own. */
function traced<T>({ text }: Statement, namespace: string, run: () => Promise<T>): Promise<T> {
  const { summary, attributes: ofText } = describe(text);
  const attributes = { ...ofText, "db.namespace": namespace };
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
 * Postgres starts, stops, lacks connections, memory or disk, or is read-only, as around a change of the primary. The
 * connection is dropped: the next one may lead to another server.
 */
const UNAVAILABLE_STATES = /^(?:08...|57P0[1-5]|53...|25006)$/;
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
      return new Fault(
        "ABORTED",
        "DATABASE_CONFLICT",
        "a concurrent transaction changed the same rows",
        {},
        { cause: err },
      );
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
