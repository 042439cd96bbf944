import { Fault } from "../../lib/runtime/fault.ts";

/** Lets a few in at a time and keeps the others waiting in line; the line has an end. */
export class Gate {
  readonly #limit: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  /** @param maxWaiting how many may wait; more are turned away */
  constructor(limit: number, maxWaiting: number) {
    this.#limit = limit;
    this.#maxWaiting = maxWaiting;
  }

  /**
   * Runs `work` when its turn comes.
   *
   * @throws Fault RESOURCE_EXHAUSTED / `TOO_MANY_PULLS` when the line is full; the signal's reason when it aborts meanwhile
   */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#inside >= this.#limit) await this.#wait(signal);
    else this.#inside++;
    try {
      return await work();
    } finally {
      // The place goes to the next in line without ever being free, so nobody can push in.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#inside--;
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length >= this.#maxWaiting) {
      const limit = String(this.#maxWaiting);
      const message = `${limit} pulls are waiting on this host already; try again later`;
      throw new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_PULLS", message, { limit }, { retryAfterMs: 5_000 });
    }
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(signal.reason);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(enter);
    });
  }
}
