import { Turns } from "./turns.ts";

/** Few enough that another's call has its turn soon; with {@link HOLD_MS}, at least 400 begin in a second. */
export const DEFAULT_CALLS_AT_ONCE = 4;
/** How long an organisation that has called alone counts as alone. */
const ALONE_MS = 60_000;
/** How long a call keeps its turn, at most: then it waits for something else than this process. */
const HOLD_MS = 10;

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
    return this.#turns.enter(org, (leave) => {
      const timer = setTimeout(leave, HOLD_MS).unref();
      begin(() => {
        clearTimeout(timer);
        leave();
      });
    });
  }

  #isAlone(): boolean {
    return this.#monotonicMs() - this.#othersAtMs > ALONE_MS;
  }
}
