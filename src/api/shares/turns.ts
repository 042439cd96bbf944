/** Work that begins when it is its turn, and calls `leave` at its end. */
type Work = (leave: () => void) => void;

interface Line {
  running: number;
  readonly waiting: Work[];
}

/** Lets each organisation do so many things at a time; more wait, first come, first served. */
export class Turns {
  readonly #atOnce: number;
  readonly #lines = new Map<string, Line>();

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  enter(org: string, work: Work): void {
    const line = this.#lines.get(org) ?? { running: 0, waiting: [] };
    this.#lines.set(org, line);
    line.waiting.push(work);
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
    if (line.running >= this.#atOnce) return;
    const work = line.waiting.shift();
    if (!work) {
      if (line.running === 0) this.#lines.delete(org);
      return;
    }
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
