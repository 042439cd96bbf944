import { hasReason } from "../../../lib/faults/fault.ts";
import { annotate, attribute, withSpan } from "../../../lib/otel/tracing.ts";
import { type Activity, allowed, decideSuspend } from "../../machines/decisions/decide.ts";
import type { Machine, StopReason } from "../../machines/machine.ts";
import type { Proxies } from "../../proxies/proxies.ts";
import { measureSave } from "../../telemetry/operation-metrics.ts";
import type { MachineRuntime } from "../machine-runtime.ts";
import { passed } from "../requests/accepted.ts";
import type { Guard, StopResult } from "../requests/request.ts";
import type { RequestQueue } from "../requests/request-queue.ts";
import { type IdleParts, requireIdle } from "../stops/idle-stops.ts";
import type { Snapshots } from "./snapshots.ts";
import { type SuspendParts, suspend } from "./suspend-operation.ts";

export type SuspendsParts = SuspendParts & IdleParts & { readonly proxies: Pick<Proxies, "settleAfter"> };

/** Lets a machine be suspended; throws otherwise. */
type Check = (machine: Machine, active: Activity | undefined) => void;

/** The suspends of one machine. */
export class Suspends {
  readonly #runtime: MachineRuntime;
  readonly #queue: RequestQueue;
  readonly #parts: SuspendsParts;
  readonly #snapshots: Pick<Snapshots, "cancel">;
  /** Suspends that were begun. */
  #begun = 0;

  constructor(
    runtime: MachineRuntime,
    queue: RequestQueue,
    parts: SuspendsParts,
    snapshots: Pick<Snapshots, "cancel">,
  ) {
    this.#runtime = runtime;
    this.#queue = queue;
    this.#parts = parts;
    this.#snapshots = snapshots;
  }

  /** Returns a function that tells whether a suspend was begun since. */
  watch(): () => boolean {
    const before = this.#begun;
    return () => this.#begun !== before;
  }

  /**
   * Saves the machine and ends its VM. The next start goes on where it was.
   *
   * @param guard refuses a call that may not suspend it, also when its turn has come
   * @param unusedForMs as of {@link Stops.stopIdle}; undefined: whether it is idle or not
   * @throws Fault INVALID_STATE, MACHINE_IN_USE; as {@link suspend} does
   */
  async suspend(guard: Guard, why: StopReason, unusedForMs?: number): Promise<StopResult> {
    const runtime = this.#runtime;
    const check: Check = (machine, active) => {
      if (unusedForMs === undefined) guard(machine);
      else requireIdle(this.#parts, machine, active, { unusedForMs, guard });
    };
    for (;;) {
      const { activity, last } = this.#queue;
      const decision = allowed(decideSuspend(runtime.machine, activity));
      if (decision.kind === "already") {
        annotate(attribute.already, true);
        await runtime.untilDurable();
        return { machine: runtime.machine, already: true };
      }
      if (decision.kind === "join" && last?.kind === "suspend") {
        annotate(attribute.joined, true);
        try {
          return { machine: await last.done, already: false };
        } catch (err) {
          // Its conditions need not hold: this one has none.
          if (unusedForMs !== undefined || !hasReason(err, "MACHINE_IN_USE")) throw err;
          continue;
        }
      }
      if (decision.kind === "run") break;
      if (last) await withSpan("hostd.queue", {}, () => passed(last));
    }
    check(runtime.machine, this.#queue.activity);
    return { machine: await this.#begin(check, why), already: false };
  }

  #begin(check: Check, why: StopReason): Promise<Machine> {
    this.#begun += 1;
    const runtime = this.#runtime;
    const { proxies } = this.#parts;
    const cancellation = new AbortController();
    const guard = (machine: Machine): void => {
      check(machine, undefined);
      // From here on, a proxy that begins to use it learns of the suspend.
      proxies.leave(machine.id);
    };
    const done = this.#queue.after(async () => {
      await this.#snapshots.cancel();
      return measureSave("suspend", () => suspend(runtime, this.#parts, cancellation.signal, guard, why));
    });
    proxies.settleAfter(runtime.id, done);
    return this.#queue.add({ kind: "suspend", done, cancellation });
  }
}
