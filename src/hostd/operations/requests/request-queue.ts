import { Fault } from "../../../lib/faults/fault.ts";
import { withSpan } from "../../../lib/otel/tracing.ts";
import type { Activity } from "../../machines/decisions/decide.ts";
import type { Accepted } from "./accepted.ts";

/** Requests that a machine takes at a time. They are finished although their callers may be gone. */
const MOST = 16;
const RETRY_MS = 1_000;

/** Listeners, called synchronously when the queue changes. */
interface QueueHooks {
  /** Called before a request is added. */
  readonly onAdd: (activity: Activity) => void;
  /** Called when the last request is done. */
  readonly onIdle: () => void;
}

/** The requests on one machine that were accepted and are not done. They run one after the other. */
export class RequestQueue {
  readonly #all = new Set<Accepted>();
  readonly #hooks: QueueHooks;
  #last: Accepted | undefined;

  constructor(hooks: QueueHooks) {
    this.#hooks = hooks;
  }

  /** The last request; undefined once it is done. */
  get last(): Accepted | undefined {
    return this.#last;
  }

  /** Kind of the last request; undefined once it is done. */
  get activity(): Activity | undefined {
    return this.#last?.kind;
  }

  /** All of them, in their order. */
  get all(): readonly Accepted[] {
    return [...this.#all];
  }

  /**
   * Refuses a request that would neither join another one nor cut it short.
   *
   * @throws Fault MACHINE_BUSY
   */
  refuseWhenFull(machineId: string): void {
    if (this.#all.size < MOST) return;
    const message = `machine ${machineId} has ${this.#all.size} requests under way already; try again in a moment`;
    const facts = { machine_id: machineId, limit: String(MOST) };
    throw new Fault("RESOURCE_EXHAUSTED", "MACHINE_BUSY", message, facts, { retryAfterMs: RETRY_MS });
  }

  /** Adds an accepted request. Returns its result. */
  add<A extends Accepted>(accepted: A): A["done"] {
    this.#hooks.onAdd(accepted.kind);
    this.#last = accepted;
    this.#all.add(accepted);
    const forget = (): void => {
      this.#all.delete(accepted);
      if (this.#last !== accepted) return;
      this.#last = undefined;
      this.#hooks.onIdle();
    };
    accepted.done.then(forget, forget);
    return accepted.done;
  }

  /** Does work after all requests of now, whether they succeed or not. */
  async after<T>(work: () => Promise<T>): Promise<T> {
    const last = this.#last;
    // Also without one, `work` begins after the caller has added its request.
    if (!last) await undefined;
    else await withSpan("hostd.queue", {}, () => Promise.allSettled([last.done]));
    return work();
  }
}
