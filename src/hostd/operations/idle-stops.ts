import type { Clock } from "../../lib/runtime/clock.ts";
import { stopping } from "../machines/change.ts";
import type { Activity } from "../machines/decide.ts";
import { invalidState, type Machine } from "../machines/machine.ts";
import { inUse, type Proxies } from "../proxies/proxies.ts";
import type { Guard } from "./requests/request.ts";
import type { StopIntent } from "./stop-operation.ts";

/** Conditions of a stop for being idle. */
export interface IdleStop {
  /** How long no proxy must have used the machine. */
  readonly unusedForMs: number;
  /** Refuses a call that may not stop the machine. */
  readonly guard: Guard;
}

/** Decides about stops of machines that are idle. */
export class IdleStops {
  readonly #parts: { readonly proxies: Proxies; readonly clock: Pick<Clock, "now"> };

  constructor(parts: { readonly proxies: Proxies; readonly clock: Pick<Clock, "now"> }) {
    this.#parts = parts;
  }

  /** Lets an idle machine pass. @throws Fault INVALID_STATE, MACHINE_IN_USE, of the guard */
  require(machine: Machine, active: Activity | undefined, { unusedForMs, guard }: IdleStop): void {
    const { proxies, clock } = this.#parts;
    guard(machine);
    if (active !== undefined) throw inUse(machine.id, `a ${active} is under way`, unusedForMs);
    if (machine.state !== "started") throw invalidState(machine, "stopped for being idle");
    proxies.requireUnused(machine, unusedForMs, clock.now());
  }

  /**
   * Makes the intent of a stop. From its decision on, proxies are told that the machine is
   * `stopping`: one that begins to use it while the intent is being stored learns of the stop.
   */
  intent(idle: IdleStop): StopIntent {
    return (machine, stop, at, why) => {
      this.require(machine, undefined, idle);
      this.#parts.proxies.leave(machine.id);
      return stopping(machine, stop, at, why);
    };
  }
}
