import { onAbort } from "../runtime/abort.ts";

/** How many a {@link Semaphore} admits. */
export interface SemaphoreOptions {
  /** How many may hold a permit at once. */
  readonly permits: number;
  /** How many may wait for one; more are refused. */
  readonly maxWaiting: number;
  /** Makes the error for one that is refused. */
  readonly full: (waiting: number) => Error;
}

/** Releases what was acquired. Safe to call twice. */
export type Release = () => void;

/**
 * Acquires what a caller needs along with a permit, in the moment in which there is one. Undefined while it is not available: the
 * caller waits on, and others may pass.
 */
export type Claim = () => Release | undefined;

interface Waiter {
  readonly claim: Claim | undefined;
  readonly grant: (release: Release) => void;
  readonly refuse: (err: Error) => void;
}

/**
 * Bounds how much runs at once and how much waits. Callers with different keys take turns, so that a burst of one does
 * not keep the others waiting, nor take their room; within a key, first come, first served.
 */
export class Semaphore {
  readonly #options: SemaphoreOptions;
  /** By key, in the order in which their turn comes. A key is present while somebody waits under it. */
  readonly #queues = new Map<string, Waiter[]>();
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

  /** Whether the next caller with a key of its own would be refused, unless it can pass those that wait. */
  get isFull(): boolean {
    const wouldWait = this.#held >= this.#options.permits || this.#waiting > 0;
    if (!wouldWait || this.#waiting < this.#options.maxWaiting) return false;
    // Otherwise room is made for it.
    return [...this.#queues.values()].every(({ length }) => length === 1);
  }

  /**
   * Waits for a permit, and for what `claim` acquires along with it.
   *
   * @throws what the option `full` makes; the reason of `signal` when it aborts first
   */
  async acquire(signal: AbortSignal, key = "", claim?: Claim): Promise<Release> {
    signal.throwIfAborted();
    // What a claim failed to get may be there by now, and is first for those that wait.
    this.#grantWaiting();
    const release = this.#tryAcquire(claim);
    if (release) return release;
    if (this.#waiting >= this.#options.maxWaiting && !this.#makeRoom(key))
      throw this.#options.full(this.#waiting);
    return await this.#wait(signal, key, claim);
  }

  /** Acquires a permit, and what `claim` acquires along with it, unless it would have to wait. */
  tryAcquire(claim?: Claim): Release | undefined {
    return this.#waiting > 0 ? undefined : this.#tryAcquire(claim);
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

  #tryAcquire(claim: Claim | undefined): Release | undefined {
    if (this.#held >= this.#options.permits) return undefined;
    const claimed = claim?.();
    if (claim && !claimed) return undefined;
    this.#held += 1;
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#held -= 1;
      claimed?.();
      this.#grantWaiting();
    };
  }

  async #wait(signal: AbortSignal, key: string, claim: Claim | undefined): Promise<Release> {
    const { promise, resolve, reject } = Promise.withResolvers<Release>();
    const waiter = { claim, grant: resolve, refuse: reject };
    const queue = this.#queues.get(key) ?? [];
    queue.push(waiter);
    this.#queues.set(key, queue);
    this.#waiting += 1;
    using _ = onAbort(signal, () => {
      if (this.#leave(key, queue, waiter)) reject(signal.reason);
    });
    return await promise;
  }

  /** Refuses the newest of the key with most waiters, unless that is as many as `key` would have. Returns whether it has. */
  #makeRoom(key: string): boolean {
    let [busiest, longest] = ["", this.#queues.get(key) ?? []];
    for (const [each, queue] of this.#queues)
      if (queue.length > longest.length) [busiest, longest] = [each, queue];
    const newest = longest.at(-1);
    if (!newest || longest.length <= (this.#queues.get(key)?.length ?? 0) + 1) return false;
    newest.refuse(this.#options.full(this.#waiting));
    return this.#leave(busiest, longest, newest);
  }

  #leave(key: string, queue: Waiter[], waiter: Waiter): boolean {
    const at = queue.indexOf(waiter);
    if (at < 0) return false;
    queue.splice(at, 1);
    if (queue.length === 0) this.#queues.delete(key);
    this.#waiting -= 1;
    return true;
  }

  #grantWaiting(): void {
    while (this.#waiting > 0 && this.#held < this.#options.permits && this.#grantNext());
  }

  #grantNext(): boolean {
    for (const [key, queue] of this.#queues) {
      for (const waiter of queue) {
        const release = this.#tryAcquire(waiter.claim);
        if (!release) continue;
        this.#leave(key, queue, waiter);
        // The key moves to the end of the round.
        if (this.#queues.delete(key)) this.#queues.set(key, queue);
        waiter.grant(release);
        return true;
      }
    }
    return false;
  }
}
