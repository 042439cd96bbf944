import type { Timers } from "../../../src/proxy/timers.ts";

interface Timer {
  readonly atMs: number;
  readonly fn: () => void;
}

/** Timers for tests: time passes only by {@link advance}. */
export class ManualTimers implements Timers {
  #now = 0;
  #timers: Timer[] = [];
  #soon: (() => void)[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { atMs: this.#now + ms, fn };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  soon(fn: () => void): void {
    this.#soon.push(fn);
  }

  /** Does what is due in this turn. */
  settle(): void {
    for (let fn = this.#soon.shift(); fn; fn = this.#soon.shift()) fn();
  }

  /** Lets time pass, timer by timer. */
  advance(ms: number): void {
    const endMs = this.#now + ms;
    this.settle();
    for (let next = this.#next(endMs); next; next = this.#next(endMs)) {
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#now = Math.max(this.#now, next.atMs);
      next.fn();
      this.settle();
    }
    this.#now = endMs;
  }

  #next(endMs: number): Timer | undefined {
    const due = this.#timers.filter(({ atMs }) => atMs <= endMs);
    return due.sort((a, b) => a.atMs - b.atMs)[0];
  }
}
