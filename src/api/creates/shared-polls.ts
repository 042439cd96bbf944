import { abortable } from "../../lib/runtime/abort.ts";

/** Work that several callers wait for. */
interface Poll<T> {
  readonly waiting: { count: number };
  readonly outcome: Promise<T>;
}

/** Lets all who wait for the same thing share one loop, which ends when nobody waits. */
export class SharedPolls<T> {
  readonly #poll: (id: string, isAwaited: () => boolean) => Promise<T>;
  readonly #polls = new Map<string, Poll<T>>();

  /** @param poll may end in any way once `isAwaited` has returned false */
  constructor(poll: (id: string, isAwaited: () => boolean) => Promise<T>) {
    this.#poll = poll;
  }

  async wait(id: string, signal: AbortSignal | undefined): Promise<T> {
    const { waiting, outcome } = this.#polls.get(id) ?? this.#start(id);
    waiting.count += 1;
    try {
      return await abortable(outcome, signal);
    } finally {
      waiting.count -= 1;
    }
  }

  #start(id: string): Poll<T> {
    const waiting = { count: 0 };
    const isAwaited = () => {
      // At once: who comes now must not share an end that is not theirs.
      if (waiting.count === 0) this.#polls.delete(id);
      return waiting.count > 0;
    };
    const outcome = Promise.resolve().then(() => this.#poll(id, isAwaited));
    const poll = { waiting, outcome };
    const forget = () => {
      if (this.#polls.get(id) === poll) this.#polls.delete(id);
    };
    outcome.then(forget, forget);
    this.#polls.set(id, poll);
    return poll;
  }
}
