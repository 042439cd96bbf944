import type { Transactions } from "../../../src/api/database/gated-database.ts";
import { Fault } from "../../../src/lib/faults/fault.ts";
import type { Result, Statement, Transaction } from "../../../src/lib/stores/postgres.ts";
import { Random } from "../world/random.ts";
import type { Life, Process, World } from "../world/world.ts";
import { execute } from "./postgres-statements.ts";
import { Tables } from "./postgres-tables.ts";

/** How long a transaction may do nothing before Postgres ends it, as `idle_in_transaction_session_timeout` is set. */
const IDLE_MS = 10_000;

/**
 * The central Postgres: the statements of the real stores, known by their names, on tables in memory. Transactions take turns, so what is
 * left out is what READ COMMITTED would let them see of each other; test/contract/sim/postgres.test.ts holds it to the real one.
 *
 * Faults: it is away; a connection breaks before a statement, or after it (whether a commit has happened is then not known).
 */
export class Postgres {
  readonly tables = new Tables();
  readonly process: Process;
  readonly world: World;
  readonly random: Random;
  isAway = false;
  /** Probability that a connection breaks with a statement. */
  breaks = 0;
  /** Called with each statement that has been committed. */
  onCommitted: (statement: Statement) => void = () => {};
  #holder: Session | undefined;
  #waiting: (() => void)[] = [];

  /** @param process whose clock it has */
  constructor(process: Process) {
    this.process = process;
    this.world = process.world;
    this.random = new Random(this.world.seed, "postgres");
  }

  /** A connection pool of a process that lives. */
  connect(life: Life): Transactions {
    return {
      query: (statement) => this.#transact(life, (tx) => tx.query(statement), true),
      transaction: (fn) => this.#transact(life, fn, false),
    };
  }

  /** It goes away: what is under way is rolled back. */
  goAway(): void {
    this.isAway = true;
    this.#holder?.rollBack();
  }

  async #transact<T>(life: Life, fn: (tx: Transaction) => Promise<T>, isSingle: boolean): Promise<T> {
    await this.travel(life);
    await this.#turn(life);
    const session = new Session(this, life, () => {
      this.#holder = undefined;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const wake of waiting) wake();
    });
    this.#holder = session;
    try {
      const query = <Row>(s: Statement) => session.query<Row>(s, isSingle);
      const result = await fn({ query, commit: query });
      if (!isSingle) await this.travel(life);
      session.commit();
      // From here on it has happened, whatever the answer.
      await this.travel(life);
      return result;
    } finally {
      session.rollBack();
    }
  }

  /** Waits until nobody else is at it. */
  async #turn(life: Life): Promise<void> {
    while (this.#holder) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(() => this.world.after(life, 0, resolve));
      });
    }
    if (this.isAway) throw unavailable("it is away");
  }

  /** One way over the wire. @throws Fault DATABASE_UNAVAILABLE when the connection breaks on it */
  async travel(life: Life): Promise<void> {
    const breaks = this.random.chance(this.breaks);
    const ms = breaks ? this.random.between(0, 3_000) : this.random.between(0.1, 1);
    await new Promise<void>((resolve) => this.world.after(life, ms, resolve));
    if (breaks || this.isAway) throw unavailable(breaks ? "the connection broke" : "it is away");
  }
}

/** One transaction: what it has changed can be taken back until it commits. */
class Session {
  readonly #postgres: Postgres;
  readonly #life: Life;
  readonly #ended: () => void;
  readonly #forget: () => void;
  readonly #undo: (() => void)[] = [];
  readonly #done: Statement[] = [];
  #isOver = false;

  constructor(postgres: Postgres, life: Life, ended: () => void) {
    this.#postgres = postgres;
    this.#life = life;
    this.#ended = ended;
    const died = life.onDeath(() => this.rollBack());
    const idle = postgres.world.after(undefined, IDLE_MS, () => this.rollBack());
    this.#forget = () => {
      died();
      idle.cancel();
    };
  }

  async query<Row>(statement: Statement, isSingle: boolean): Promise<Result<Row>> {
    if (!isSingle) await this.#postgres.travel(this.#life);
    if (this.#isOver) throw unavailable("the session was ended");
    const { tables, process } = this.#postgres;
    const result = execute(tables, statement, process.wallMs(), (undo) => this.#undo.push(undo));
    this.#postgres.world.note(statement.name);
    this.#done.push(statement);
    // The row's shape is the statement's own affair, as with the real one.
    return result as Result<Row>;
  }

  commit(): void {
    if (this.#isOver) throw unavailable("the session was ended");
    this.#undo.length = 0;
    for (const statement of this.#done) this.#postgres.onCommitted(statement);
    this.#end();
  }

  rollBack(): void {
    if (this.#isOver) return;
    for (const undo of this.#undo.reverse()) undo();
    this.#end();
  }

  #end(): void {
    this.#isOver = true;
    this.#forget();
    this.#ended();
  }
}

/** What the gate before the real one makes of anything that passes. */
function unavailable(why: string): Fault {
  return new Fault("UNAVAILABLE", "DATABASE_UNAVAILABLE", "the database cannot be reached; try again", {
    why,
  });
}
