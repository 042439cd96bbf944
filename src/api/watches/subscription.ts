import { onAbort } from "../../lib/runtime/abort.ts";
import type { LoggedChange, WatchFilter } from "./change-log.ts";
import type { Position } from "./position.ts";

/** Changes that are queued for a watch. When there are more, it reads them from the log. */
const MAX_QUEUED = 1_000;

/** Queues the changes of one watch. */
export class Subscription {
  readonly filter: WatchFilter;
  /** Changes after it are queued. */
  readonly from: Position;
  #queue: LoggedChange[] = [];
  #isBehind = false;
  #fault: unknown;
  #wake: () => void = () => {};

  constructor(filter: WatchFilter, from: Position) {
    this.filter = filter;
    this.from = from;
  }

  /** Whether more changes came than are queued. The queue is dropped then, and takes no more. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  matches({ app, machine }: LoggedChange): boolean {
    const { filter } = this;
    return (filter.app === undefined || filter.app === app) && filter.machineIds?.has(machine.id) !== false;
  }

  add(change: LoggedChange): void {
    if (this.#isBehind) return;
    this.#queue.push(change);
    if (this.#queue.length > MAX_QUEUED) {
      this.#isBehind = true;
      this.#queue = [];
    }
    this.#wake();
  }

  fail(fault: unknown): void {
    this.#fault = fault;
    this.#wake();
  }

  /**
   * Takes up to `limit` changes from the queue; waits up to `ms` for the first one.
   *
   * @throws the fault of `fail`
   */
  async take(limit: number, ms: number, signal: AbortSignal): Promise<readonly LoggedChange[]> {
    if (this.#queue.length === 0 && !this.#isBehind && this.#fault === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, ms);
      using _ = onAbort(signal, resolve);
      await promise;
      clearTimeout(timer);
    }
    if (this.#fault !== undefined) throw this.#fault;
    return this.#queue.splice(0, limit);
  }
}
