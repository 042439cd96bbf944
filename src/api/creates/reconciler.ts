import { logger } from "../../lib/runtime/log.ts";
import { type CreateRunner, LEASE_MS, newOwner } from "./create-runner.ts";
import type { SagaStore } from "./saga-store.ts";

/** Creates that are taken over and run at the same time. */
const MAX_RESUMED = 16;

/** Finds creates that nobody runs any more, or whose undo is to be tried again, and goes on with them. */
export class Reconciler {
  readonly #sagas: SagaStore;
  readonly #runner: CreateRunner;
  #resumed = 0;
  #stuck = 0;

  constructor(sagas: SagaStore, runner: CreateRunner) {
    this.#sagas = sagas;
    this.#runner = runner;
  }

  /** Creates with something that could not be taken back yet, as of the last round. */
  get stuck(): number {
    return this.#stuck;
  }

  /** One round. Returns once what it found has been taken over, not once that has ended. */
  async run(): Promise<void> {
    this.#stuck = await this.#sagas.countStuck();
    while (this.#resumed < MAX_RESUMED) {
      // One owner for each: an owner is a run, not a process.
      const owner = newOwner();
      const [saga] = await this.#sagas.claim(owner, LEASE_MS, 1);
      if (!saga) return;
      logger.info("a create was taken over", {
        create_id: saga.id,
        status: saga.status,
        attempts: saga.attempts,
      });
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
