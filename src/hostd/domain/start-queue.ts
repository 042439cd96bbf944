import { Fault } from "../../lib/runtime/fault.ts";

interface Waiting {
  readonly resolve: (release: () => void) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Bounds how many starts run at once. Those beyond wait their turn, one organisation after the other, so a burst of one does not
 * keep the others waiting; within an organisation first come, first served.
 */
export class StartQueue {
  readonly #concurrency: number;
  readonly #bound: number;
  /** By key, in the order in which their turn comes. A key is present while somebody waits under it. */
  readonly #waiting = new Map<string, Waiting[]>();
  #running = 0;
  #length = 0;

  constructor(options: { concurrency: number; bound: number }) {
    this.#concurrency = options.concurrency;
    this.#bound = options.bound;
  }

  /** How many run now. */
  get running(): number {
    return this.#running;
  }

  /** Whether the next start would be refused. */
  get isFull(): boolean {
    return this.#running >= this.#concurrency && this.#length >= this.#bound;
  }

  /** How many wait now. */
  get length(): number {
    return this.#length;
  }

  /**
   * Waits for a turn. The answer gives it back; call it once the start is over.
   *
   * @param key whose turn it is, e.g. the organisation
   * @throws Fault START_QUEUE_FULL when too many wait; the reason of `signal` when it aborts first
   */
  enter(key: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#running < this.#concurrency) return Promise.resolve(this.#take());
    if (this.#length >= this.#bound) throw queueFull(this.#length, this.#concurrency);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#leave(key, waiting);
        reject(signal.reason);
      };
      const waiting: Waiting = {
        resolve: (release) => {
          signal.removeEventListener("abort", onAbort);
          resolve(release);
        },
        reject,
      };
      signal.addEventListener("abort", onAbort, { once: true });
      const queue = this.#waiting.get(key);
      if (queue) queue.push(waiting);
      else this.#waiting.set(key, [waiting]);
      this.#length += 1;
    });
  }

  #take(): () => void {
    this.#running += 1;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#running -= 1;
      this.#next();
    };
  }

  #next(): void {
    const first = this.#waiting.entries().next().value;
    if (!first) return;
    const [key, queue] = first;
    const waiting = queue.shift();
    // Its key goes to the end of the round, if anybody else waits under it.
    this.#waiting.delete(key);
    if (queue.length > 0) this.#waiting.set(key, queue);
    if (!waiting) return;
    this.#length -= 1;
    waiting.resolve(this.#take());
  }

  #leave(key: string, waiting: Waiting): void {
    const queue = this.#waiting.get(key);
    const at = queue?.indexOf(waiting) ?? -1;
    if (!queue || at < 0) return;
    queue.splice(at, 1);
    if (queue.length === 0) this.#waiting.delete(key);
    this.#length -= 1;
  }
}

function queueFull(waiting: number, concurrency: number): Fault {
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "START_QUEUE_FULL",
    `${waiting} starts are waiting for this host already; try again in a moment`,
    { waiting: String(waiting), concurrency: String(concurrency) },
    { retryAfterMs: 1_000 },
  );
}
