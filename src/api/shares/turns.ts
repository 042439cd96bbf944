import { AsyncLocalStorage } from "node:async_hooks";

/** Work that begins when it is its turn, and calls `leave` at its end. */
type Work = (leave: () => void) => void;

interface Line {
  running: number;
  readonly waiting: Work[];
}

/** Lets each organisation do so many things at a time; more wait, first come, first served. */
export class Turns {
  readonly #atOnce: () => number;
  readonly #lines = new Map<string, Line>();

  /** @param atOnce things of an organisation, asked whenever one could begin */
  constructor(atOnce: number | (() => number)) {
    this.#atOnce = typeof atOnce === "number" ? () => atOnce : atOnce;
  }

  /** How many things of all organisations wait. */
  get waiting(): number {
    let waiting = 0;
    for (const line of this.#lines.values()) waiting += line.waiting.length;
    return waiting;
  }

  enter(org: string, work: Work): void {
    const line = this.#lines.get(org) ?? { running: 0, waiting: [] };
    this.#lines.set(org, line);
    if (line.running < this.#atOnce() && line.waiting.length === 0) {
      this.#run(org, line, work);
      return;
    }
    // Its trace is its own, whoever gives it the turn.
    line.waiting.push(AsyncLocalStorage.bind(work));
    this.#next(org, line);
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
      const work = line.waiting.shift();
      if (!work) break;
      this.#run(org, line, work);
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
