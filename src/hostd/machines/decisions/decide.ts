import { Fault } from "../../../lib/faults/fault.ts";
import { invalidState, type Machine } from "../machine.ts";
import { isActive } from "../states.ts";

/** The last request that a driver has accepted and not finished. */
export type Activity = "start" | "stop" | "suspend" | "restart" | "update" | "destroy";

/**
 * What to do with a request. `interrupt`: cut short the one under way, then run this one. `wait`: decide again when the one under
 * way, or the state that passes, is over.
 */
export type Decision =
  | { readonly kind: "already" }
  | { readonly kind: "join" }
  | { readonly kind: "run" }
  | { readonly kind: "interrupt" }
  | { readonly kind: "wait" }
  | { readonly kind: "refuse"; readonly fault: Fault };

/** Returns a decision that is not to refuse. @throws Fault of the refusal */
export function allowed(decision: Decision): Exclude<Decision, { kind: "refuse" }> {
  if (decision.kind === "refuse") throw decision.fault;
  return decision;
}

/** Decides about a start. A start during a start joins it until the process runs. */
export function decideStart(machine: Machine, active: Activity | undefined): Decision {
  if (active === "start") return { kind: machine.state === "started" ? "already" : "join" };
  if (active === "destroy") return refuse(notStartable(asDestroying(machine)));
  // The new version runs, and is only watched.
  const isTried = active === "update" && machine.update?.readyAtMs !== undefined;
  if (isTried && machine.state === "started") return { kind: "already" };
  if (active === "suspend") return { kind: "interrupt" };
  if (active !== undefined) return { kind: "wait" };
  switch (machine.state) {
    case "started":
      return { kind: "already" };
    case "created":
    case "stopped":
    case "suspended":
    case "failed":
      return { kind: "run" };
    case "stopping":
    case "suspending":
    case "updating":
      return { kind: "wait" };
    case "restarting":
      // Between two runs it is started at once. A VM that could not be taken over is stopped first.
      return { kind: machine.vmId === undefined ? "run" : "wait" };
    default:
      return refuse(notStartable(machine));
  }
}

/** Decides about a stop. It cuts a start, restart or update short. */
export function decideStop(machine: Machine, active: Activity | undefined): Decision {
  if (active === "stop") return { kind: "join" };
  if (active === "destroy") return refuse(invalidState(asDestroying(machine), "stopped"));
  if (active !== undefined) return { kind: "interrupt" };
  switch (machine.state) {
    case "stopped":
      return { kind: "already" };
    case "created":
    case "failed":
    case "starting":
    case "started":
    case "suspending":
    case "suspended":
    case "stopping":
    case "restarting":
    case "updating":
      return { kind: "run" };
    default:
      return refuse(invalidState(machine, "stopped"));
  }
}

/** Decides about a suspend, which is of a machine that runs and has nothing under way. */
export function decideSuspend(machine: Machine, active: Activity | undefined): Decision {
  if (active === "suspend") return { kind: "join" };
  if (active === "start" && machine.state === "starting") return { kind: "wait" };
  if (active !== undefined) return refuse(invalidState(asActive(machine, active), "suspended"));
  if (machine.state === "suspended") return { kind: "already" };
  return machine.state === "started" ? { kind: "run" } : refuse(invalidState(machine, "suspended"));
}

/**
 * Decides about a restart or an update, which come after what is under way. A restart during a
 * restart joins it.
 */
export function decideReplace(
  machine: Machine,
  active: Activity | undefined,
  what: "restart" | "update",
): Decision {
  const isGone = machine.state === "destroying" || machine.state === "destroyed";
  if (active === "destroy" || isGone || machine.state === "creating")
    return refuse(
      invalidState(
        active === "destroy" ? asDestroying(machine) : machine,
        what === "restart" ? "restarted" : "updated",
      ),
    );
  return { kind: what === "restart" && active === "restart" ? "join" : "run" };
}

/** Decides about a destroy. A machine that runs, or has a request under way, needs `force`. */
export function decideDestroy(machine: Machine, active: Activity | undefined, force: boolean): Decision {
  if (machine.state === "destroyed") return { kind: "already" };
  if (active === "destroy") return { kind: "join" };
  const isBusy = active !== undefined || isActive(machine.state);
  if (isBusy && !force) return refuse(running(machine));
  return active === undefined ? { kind: "run" } : { kind: "interrupt" };
}

/** Decides about a prepare. A repeat on a prepared machine does nothing. */
export function decidePrepare(machine: Machine, active: Activity | undefined): Decision {
  if (active === "destroy" || machine.state === "destroying" || machine.state === "destroyed") {
    return refuse(invalidState(machine, "prepared"));
  }
  return machine.state === "creating" ? { kind: "run" } : { kind: "already" };
}

/** Returns a machine as it will be when what is under way has begun. */
function asActive(machine: Machine, active: Activity): Machine {
  const states = { stop: "stopping", restart: "restarting", update: "updating" } as const;
  if (active === "destroy") return asDestroying(machine);
  return active === "start" || active === "suspend" ? machine : { ...machine, state: states[active] };
}

/** Returns a machine as `destroying` when a removal was accepted that may not have begun. */
function asDestroying(machine: Machine): Machine {
  return machine.state === "destroyed" ? machine : { ...machine, state: "destroying" };
}

function refuse(fault: Fault): Decision {
  return { kind: "refuse", fault };
}

/** Clients of the Machines API match a part of the text. */
function notStartable({ id, state }: Machine): Fault {
  const message = `unable to start machine from current state: '${state}'`;
  return new Fault("FAILED_PRECONDITION", "INVALID_STATE", message, { machine_id: id, state });
}

function running(machine: Machine): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "MACHINE_RUNNING",
    `machine ${machine.id} is ${machine.state}: stop it first, or destroy it with force`,
    { machine_id: machine.id, state: machine.state },
  );
}
