import { logger } from "../../lib/runtime/log.ts";
import { type CreateRunner, LEASE_MS, newOwner } from "./create-runner.ts";
import type { SagaStore } from "./store/saga-store.ts";

/** Creates that one api resumes at a time. */
const MAX_RESUMED = 16;

/** Takes over creates whose owner is gone or whose undo is to be tried again. */
export class Reconciler {
  readonly #sagas: SagaStore;
  readonly #runner: CreateRunner;
  #resumed = 0;
  #stuck = 0;

  constructor(sagas: SagaStore, runner: CreateRunner) {
    this.#sagas = sagas;
    this.#runner = runner;
  }

  /** Creates of all apis with an undo that failed, as of the last round. */
  get stuck(): number {
    return this.#stuck;
  }

  /** Does one round. Returns when the creates have been taken over; they run on. */
  async run(): Promise<void> {
    this.#stuck = await this.#sagas.countStuck();
    while (this.#resumed < MAX_RESUMED) {
      const owner = newOwner();
      const [saga] = await this.#sagas.claim(owner, LEASE_MS, 1);
      if (!saga) return;
      const { id, status, attempts } = saga;
      logger.info("a create was taken over", { create_id: id, status, attempts });
      this.#resumed += 1;
      void this.#runner
        .resume(saga, owner)
        .catch(() => undefined)
        .finally(() => {
          this.#resumed -= 1;
        });
    }
  }
}
