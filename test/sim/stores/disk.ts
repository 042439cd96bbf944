import type { Store } from "../../../src/hostd/store/store.ts";
import { StoreDatabase, type StoreRequest } from "../../../src/hostd/store/store-database.ts";
import type { StoreThread } from "../../../src/hostd/store/store-thread.ts";
import { SEALING_KEYS } from "../../support/hostd/sealing-keys.ts";
import { Random } from "../world/random.ts";
import type { Life, World } from "../world/world.ts";
import { type StoreObserver, WatchedStore } from "./watched-store.ts";

/**
 * The disk of a host: hostd's real database, in memory, which outlives hostd. What a life has asked for and has not been written when it is
 * killed is not written.
 */
export class Disk {
  readonly #database = new StoreDatabase(":memory:");
  readonly #random: Random;

  constructor(world: World, host: string) {
    this.#random = new Random(world.seed, `disk of ${host}`);
  }

  /** Opens hostd's real store for a new life. */
  open(life: Life, observer: StoreObserver): Store {
    // The database answers each kind of request with its own type, which its signature cannot say.
    const call = ((request) => this.#call(life, request)) as StoreThread["call"];
    const thread = { call, close: async () => {} };
    return new WatchedStore(observer, thread, this.#database.begin(), SEALING_KEYS);
  }

  close(): void {
    this.#database.close();
  }

  #call(life: Life, request: StoreRequest): Promise<unknown> {
    return new Promise((resolve) => {
      life.world.after(life, this.#random.between(0.1, 3), () => {
        const answer = this.#database.answer(request);
        // Written, and not yet known to be.
        life.world.after(life, 0.01, () => resolve(answer));
      });
    });
  }
}
