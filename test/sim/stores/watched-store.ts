import type { Change, Machine } from "../../../src/hostd/machines/machine.ts";
import { Store } from "../../../src/hostd/store/store.ts";

/** Looks on at what a host stores. */
export interface StoreObserver {
  /** A change is about to be stored. `before`: the machine as it is; undefined: it is new. */
  changing(before: Machine | undefined, change: Change): void;
  /** A change is on disk. */
  stored(change: Change): void;
}

/** hostd's real store, and somebody who looks on. */
export class WatchedStore extends Store {
  readonly #observer: StoreObserver;

  constructor(observer: StoreObserver, ...args: ConstructorParameters<typeof Store>) {
    super(...args);
    this.#observer = observer;
  }

  override async intend(change: Change): Promise<void> {
    this.#observer.changing(this.get(change.machine.id), change);
    await super.intend(change);
    this.#observer.stored(change);
  }

  override note(change: Change): Promise<void> {
    this.#observer.changing(this.get(change.machine.id), change);
    const durable = super.note(change);
    durable.then(
      () => this.#observer.stored(change),
      () => {},
    );
    return durable;
  }
}
