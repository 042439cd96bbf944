import { onAbort } from "./abort.ts";

/** How many a {@link Semaphore} admits. */
export interface SemaphoreOptions {
  /** How many may hold a permit at once. */
  readonly permits: number;
  /** How many may wait for one; more are refused. */
  readonly maxWaiting: number;
  /** Makes the error for one that is refused. */
  readonly full: (waiting: number) => Error;
}

/**
 * Bounds how much runs at once and how much waits. Callers with different keys take turns, so that a burst of one does
 * not keep the others waiting; within a key, first come, first served.
 */
export class Semaphore {
  readonly #options: SemaphoreOptions;
  /** By key, in the order in which their turn comes. A key is present while somebody waits under it. */
  readonly #queues = new Map<string, Array<() => void>>();
  #held = 0;
  #waiting = 0;

  constructor(options: SemaphoreOptions) {
    this.#options = options;
  }

  /** How many permits are held. */
  get held(): number {
    return this.#held;
  }

  /** How many wait for a permit. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Whether the next caller would be refused. */
  get isFull(): boolean {
    return this.#held >= this.#options.permits && this.#waiting >= this.#options.maxWaiting;
  }

  /**
   * Waits for a permit and returns what releases it, safe to call twice.
   *
   * @throws what the option `full` makes; the reason of `signal` when it aborts first
   */
  async acquire(signal: AbortSignal, key = ""): Promise<() => void> {
    signal.throwIfAborted();
    if (this.isFull) throw this.#options.full(this.#waiting);
    if (this.#held < this.#options.permits) this.#held += 1;
    else await this.#wait(signal, key);
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#release();
    };
  }

  /** Runs `work` with a permit. @throws as {@link acquire} does */
  async run<T>(work: () => Promise<T>, signal: AbortSignal, key?: string): Promise<T> {
    const release = await this.acquire(signal, key);
    try {
      return await work();
    } finally {
      release();
    }
  }

  async #wait(signal: AbortSignal, key: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const queue = this.#queues.get(key) ?? [];
    queue.push(resolve);
    this.#queues.set(key, queue);
    this.#waiting += 1;
    using _ = onAbort(signal, () => {
      if (this.#leave(key, queue, resolve)) reject(signal.reason);
    });
    await promise;
  }

  #leave(key: string, queue: Array<() => void>, resolve: () => void): boolean {
    const at = queue.indexOf(resolve);
    if (at < 0) return false;
    queue.splice(at, 1);
    if (queue.length === 0) this.#queues.delete(key);
    this.#waiting -= 1;
    return true;
  }

  /** Hands the permit to the next in turn without freeing it, so that nobody can come in between. */
  #release(): void {
    const [first] = this.#queues;
    if (!first) {
      this.#held -= 1;
      return;
    }
    const [key, queue] = first;
    const next = queue.shift();
    // The key moves to the end of the round.
    this.#queues.delete(key);
    if (queue.length > 0) this.#queues.set(key, queue);
    this.#waiting -= 1;
    next?.();
  }
}
