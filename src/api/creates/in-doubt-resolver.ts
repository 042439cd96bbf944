import { hasReason } from "../../lib/runtime/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { InDoubt, SagaStore } from "./saga-store.ts";
import { type CreateHosts, hostOf } from "./steps/context.ts";
import { doubtfulAttempts } from "./steps/create-state.ts";

/** Creates that are settled at the same time. */
const PARALLEL = 16;
/** A host that takes longer is asked again later. */
const DESTROY_MS = 2_000;
/**
 * By then the hold is over that a late award would need (reservations live for 5 s by default, and hosts add 1 s): a machine that is not there is
 * not made any more. Before, that it was destroyed, or not there, says nothing about an award that is still on its way.
 */
const HOLD_OVER_MS = 8_000;
/** A host that stays away for longer is left to the sweeper. */
const GIVE_UP_MS = 24 * 60 * 60_000;

/**
 * Settles what creates have left in doubt when they ended: a host that did not answer an award may have made the machine all the same, or make it
 * yet. It is told that nobody wants it until it has said so once no award can reach it any more. Which creates have doubts is stored with their end,
 * so any api goes on with them.
 */
export class InDoubtResolver {
  readonly #sagas: Pick<SagaStore, "inDoubt" | "settled">;
  readonly #hosts: Pick<CreateHosts, "destroy">;

  constructor(sagas: Pick<SagaStore, "inDoubt" | "settled">, hosts: Pick<CreateHosts, "destroy">) {
    this.#sagas = sagas;
    this.#hosts = hosts;
  }

  /** One round: those whose time has come. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const due = await this.#sagas.inDoubt(PARALLEL);
      await Promise.all(due.map((create) => this.#settle(create, signal)));
      if (due.length < PARALLEL) return;
    }
  }

  async #settle({ id, state, endedMs }: InDoubt, signal: AbortSignal): Promise<void> {
    const scope = { signal, remainingMs: DESTROY_MS };
    const answers = await Promise.allSettled(
      doubtfulAttempts(state).map(({ offer, machineId }) =>
        this.#hosts.destroy(hostOf(offer), machineId, scope),
      ),
    );
    const failed = answers.find((answer) => answer.status === "rejected");
    if (failed && endedMs < GIVE_UP_MS) {
      const report = hasReason(failed.reason, "HOST_UNREACHABLE") ? logger.debug : logger.warn;
      report("an unwanted machine could not be destroyed yet", { create_id: id, error: failed.reason });
      return;
    }
    if (endedMs >= HOLD_OVER_MS) await this.#sagas.settled(id);
  }
}
