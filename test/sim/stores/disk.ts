import { Store } from "../../../src/hostd/store/store.ts";
import { type Opened, StoreDatabase } from "../../../src/hostd/store/store-database.ts";
import type { StoreAnswers, StoreRequest } from "../../../src/hostd/store/store-worker.ts";
import { Random } from "../world/random.ts";
import type { Life, World } from "../world/world.ts";

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
  open(life: Life): Store {
    const opened: Opened = this.#database.begin();
    const thread = { ask: (request: StoreRequest) => this.#ask(life, request) };
    // The store makes itself a thread that owns a file; here is another one, which speaks the same.
    return Reflect.construct(Store, [thread, opened]) as Store;
  }

  close(): void {
    this.#database.close();
  }

  #ask(life: Life, request: StoreRequest): Promise<StoreAnswers[keyof StoreAnswers]> {
    return new Promise((resolve) => {
      life.world.after(life, this.#random.between(0.1, 3), () => {
        const answer = this.#answer(request);
        // Written, and not yet known to be.
        life.world.after(life, 0.01, () => resolve(answer));
      });
    });
  }

  #answer(request: StoreRequest): StoreAnswers[keyof StoreAnswers] {
    switch (request.kind) {
      case "begin":
        return this.#database.begin();
      case "commit":
        return this.#database.commit(request.changes);
      case "outbox":
        return this.#database.outbox(request.after, request.limit);
      case "acknowledge":
        this.#database.acknowledge(request.sequence);
        return undefined;
      case "prune":
        return this.#database.prune(request.beforeMs);
      case "close":
        return undefined;
    }
  }
}
