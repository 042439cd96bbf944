import type { Clock } from "../../../lib/runtime/clock.ts";
import { stopping } from "../../machines/change.ts";
import type { Activity } from "../../machines/decisions/decide.ts";
import { invalidState, type Machine } from "../../machines/machine.ts";
import { inUse, type Proxies } from "../../proxies/proxies.ts";
import type { Guard } from "../requests/request.ts";
import type { StopIntent } from "./stop-operation.ts";

/** Conditions of a stop for being idle. */
export interface IdleStop {
  /** Time for which no proxy has used the machine, at least. */
  readonly unusedForMs: number;
  /** Refuses a call that may not stop the machine. */
  readonly guard: Guard;
}

export interface IdleParts {
  readonly proxies: Pick<Proxies, "requireUnused" | "leave">;
  readonly clock: Pick<Clock, "now">;
}

/** Lets an idle machine pass. @throws Fault INVALID_STATE, MACHINE_IN_USE, of the guard */
export function requireIdle(
  { proxies, clock }: IdleParts,
  machine: Machine,
  active: Activity | undefined,
  { unusedForMs, guard }: IdleStop,
): void {
  guard(machine);
  if (active !== undefined) throw inUse(machine.id, `a ${active} is under way`, unusedForMs);
  if (machine.state !== "started") throw invalidState(machine, "stopped for being idle");
  proxies.requireUnused(machine, unusedForMs, clock.now());
}

/**
 * Makes the intent of a stop. From its decision on, proxies are told that the machine is
 * `stopping`: one that begins to use it while the intent is being stored learns of the stop.
 */
export function idleIntent(parts: IdleParts, idle: IdleStop): StopIntent {
  return (machine, stop, at, why) => {
    requireIdle(parts, machine, undefined, idle);
    parts.proxies.leave(machine.id);
    return stopping(machine, stop, at, why);
  };
}
