import { AsyncLocalStorage } from "node:async_hooks";

/** Work that begins when it is its turn, and calls `leave` at its end. */
type Work = (leave: () => void) => void;

/** A place in a line. Without work when the caller has gone. */
interface Waiting {
  work: Work | undefined;
}

interface Line {
  running: number;
  readonly waiting: Waiting[];
}

/** Lets each organisation do so many things at a time; more wait, first come, first served. */
export class Turns {
  readonly #atOnce: () => number;
  readonly #lines = new Map<string, Line>();

  /** @param atOnce things of an organisation, asked whenever one could begin */
  constructor(atOnce: number | (() => number)) {
    this.#atOnce = typeof atOnce === "number" ? () => atOnce : atOnce;
  }

  /** Returns the number of waiting calls of all organisations. */
  get waiting(): number {
    let waiting = 0;
    for (const line of this.#lines.values()) waiting += line.waiting.length;
    return waiting;
  }

  /** Returns what gives up a turn that has not begun, and everything that the work holds. */
  enter(org: string, work: Work): () => void {
    const line = this.#lines.get(org) ?? { running: 0, waiting: [] };
    this.#lines.set(org, line);
    if (line.running < this.#atOnce() && line.waiting.length === 0) {
      this.#run(org, line, work);
      return () => {};
    }
    // Its trace is its own, whoever gives it the turn.
    const waiting: Waiting = { work: AsyncLocalStorage.bind(work) };
    line.waiting.push(waiting);
    this.#next(org, line);
    return () => {
      waiting.work = undefined;
    };
  }

  /** Runs work when it is its turn. */
  run<T>(org: string, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.enter(org, (leave) => {
        work().then(resolve, reject).finally(leave);
      });
    });
  }

  #next(org: string, line: Line): void {
    while (line.running < this.#atOnce()) {
      const next = line.waiting.shift();
      if (!next) break;
      if (next.work) this.#run(org, line, next.work);
    }
    if (line.running === 0) this.#lines.delete(org);
  }

  #run(org: string, line: Line, work: Work): void {
    line.running += 1;
    let isOver = false;
    work(() => {
      if (isOver) return;
      isOver = true;
      line.running -= 1;
      // Not from within: a line of those that have gone must not become a stack.
      queueMicrotask(() => this.#next(org, line));
    });
  }
}
