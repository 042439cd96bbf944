import { allowed, decideReplace } from "../../machines/decisions/decide.ts";
import type { Machine } from "../../machines/machine.ts";
import type { Proxies } from "../../proxies/proxies.ts";
import type { MachineRuntime } from "../machine-runtime.ts";
import type { Guard, StopOptions } from "../requests/request.ts";
import type { RequestQueue } from "../requests/request-queue.ts";
import { type RestartParts, restart, stopOfRestart } from "./restart-operation.ts";
import { StopOperation } from "./stop-operation.ts";

export type RestartsParts = RestartParts & { readonly proxies: Pick<Proxies, "leaveFor"> };

/** The restarts of one machine, which come after what is under way. */
export class Restarts {
  readonly #runtime: MachineRuntime;
  readonly #queue: RequestQueue;
  readonly #parts: RestartsParts;

  constructor(runtime: MachineRuntime, queue: RequestQueue, parts: RestartsParts) {
    this.#runtime = runtime;
    this.#queue = queue;
    this.#parts = parts;
  }

  /**
   * Stops the machine, if it runs, and starts it. Joins the restart that is under way.
   *
   * @throws Fault INVALID_STATE, MACHINE_BUSY, of `guard`; as a launch does
   */
  async restart(options: StopOptions, guard: Guard = () => {}): Promise<Machine> {
    const runtime = this.#runtime;
    const { activity, last } = this.#queue;
    const decision = allowed(decideReplace(runtime.machine, activity, "restart"));
    if (decision.kind === "join" && last?.kind === "restart") {
      last.stopOperation.escalate(options);
      return last.done;
    }
    this.#queue.refuseWhenFull(runtime.id);
    return this.#begin(stopOfRestart(runtime, this.#parts, options, guard), guard);
  }

  /** Goes on with the restart of an earlier hostd. */
  resume(): Promise<Machine> {
    return this.#begin(new StopOperation(this.#runtime, this.#parts, {}, () => undefined));
  }

  #begin(stopOperation: StopOperation, guard: Guard = () => {}): Promise<Machine> {
    const runtime = this.#runtime;
    const cancellation = new AbortController();
    const { signal } = cancellation;
    const done = this.#queue.after(() => restart(runtime, this.#parts, stopOperation, signal, guard));
    this.#parts.proxies.leaveFor(runtime.machine, done);
    return this.#queue.add({ kind: "restart", done, cancellation, stopOperation });
  }
}
