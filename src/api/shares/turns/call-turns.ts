import { Turns } from "./turns.ts";

/** Few enough that another's call has its turn soon; with {@link HOLD_MS}, at least 400 begin in a second. */
export const DEFAULT_CALLS_AT_ONCE = 2;
/** An organisation is alone when no other has called for this long. */
const ALONE_MS = 60_000;
/**
 * Fewer than the api has connections to the database, beside the organisation's creates: calls that wait for a lock there
 * keep a connection each.
 */
const DATABASE_CALLS_AT_ONCE = 3;
/** As long as a statement may take. */
const DATABASE_HOLD_MS = 6_000;
/** Longest time that a call keeps its turn. A longer call waits for another process. */
const HOLD_MS = 5;

/**
 * Lets no organisation take an api's processor from others: of each, so many calls are worked on at
 * a time. One that calls alone, for a minute now, need not wait.
 */
export class CallTurns {
  readonly #turns: Turns;
  readonly #monotonicMs: () => number;
  #last: string | undefined;
  #othersAtMs = Number.NEGATIVE_INFINITY;

  constructor(atOnce: number, monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
    this.#turns = new Turns(() => (this.#isAlone() ? Number.POSITIVE_INFINITY : atOnce));
  }

  /** Calls that wait for their turn. */
  get waiting(): number {
    return this.#turns.waiting;
  }

  /**
   * Begins a call when it is its turn. The call must call `leave` when it has been answered. Returns what gives up a
   * turn that has not begun.
   */
  enter(org: string, begin: (leave: () => void) => void): () => void {
    if (org !== this.#last) {
      if (this.#last !== undefined) this.#othersAtMs = this.#monotonicMs();
      this.#last = org;
    }
    return this.#turns.enter(org, (leave) => begin(holdFor(HOLD_MS, leave)));
  }

  #isAlone(): boolean {
    return this.#monotonicMs() - this.#othersAtMs > ALONE_MS;
  }
}

/** Lets no organisation take the connections to the database from others: of each, few calls that only need it run at a time. */
export class DatabaseTurns {
  readonly #turns = new Turns(DATABASE_CALLS_AT_ONCE);

  get waiting(): number {
    return this.#turns.waiting;
  }

  /** Does the same as {@link CallTurns.enter}. */
  enter(org: string, begin: (leave: () => void) => void): () => void {
    return this.#turns.enter(org, (leave) => begin(holdFor(DATABASE_HOLD_MS, leave)));
  }
}

/** Returns `leave`, which is called after `ms` otherwise: a handler whose caller has gone may end without an answer. */
function holdFor(ms: number, leave: () => void): () => void {
  const timer = setTimeout(leave, ms).unref();
  return () => {
    clearTimeout(timer);
    leave();
  };
}
