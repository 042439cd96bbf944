import type { Clock } from "../../lib/runtime/clock.ts";
import type { Store } from "../store/store.ts";

/** Whether the first change of the outbox moves. */
export class OutboxProgress {
  readonly #source: Pick<Store, "sequence" | "acknowledged">;
  readonly #clock: Pick<Clock, "monotonicMs">;
  #failingSinceMs: number | undefined;

  constructor(source: Pick<Store, "sequence" | "acknowledged">, clock: Pick<Clock, "monotonicMs">) {
    this.#source = source;
    this.#clock = clock;
  }

  /** Changes that no api has acknowledged. */
  get waiting(): number {
    return this.#source.sequence - this.#source.acknowledged;
  }

  /** Time since the first failed delivery of the change that is first now; 0 when none has failed. */
  get stalledMs(): number {
    return this.#failingSinceMs === undefined ? 0 : this.#clock.monotonicMs() - this.#failingSinceMs;
  }

  /** Records that an api has acknowledged a change. */
  moved(): void {
    this.#failingSinceMs = undefined;
  }

  /** Records a failed delivery. */
  failed(): void {
    this.#failingSinceMs ??= this.#clock.monotonicMs();
  }
}
