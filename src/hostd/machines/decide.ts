import { Fault } from "../../lib/faults/fault.ts";
import { invalidState, type Machine } from "./machine.ts";

/** The last request that a driver has accepted and not finished. */
export type Activity = "start" | "stop" | "destroy";

/** What to do with a request. `interrupt`: cut short the one under way, then run this one. */
export type Decision =
  | { readonly kind: "already" }
  | { readonly kind: "join" }
  | { readonly kind: "run" }
  | { readonly kind: "interrupt" }
  | { readonly kind: "refuse"; readonly fault: Fault };

/** Decides about a start. A start during a start joins it until the process runs. */
export function decideStart(machine: Machine, active: Activity | undefined): Decision {
  if (active === "start") return { kind: machine.state === "started" ? "already" : "join" };
  if (active !== undefined) return refuse(invalidState(machine, `started: a ${active} is under way`));
  switch (machine.state) {
    case "started":
      return { kind: "already" };
    case "created":
    case "stopped":
    case "failed":
      return { kind: "run" };
    default:
      return refuse(invalidState(machine, "started"));
  }
}

/** Decides about a stop. A stop during a start cancels that start. */
export function decideStop(machine: Machine, active: Activity | undefined): Decision {
  if (active === "stop") return { kind: "join" };
  if (active === "start") return { kind: "interrupt" };
  if (active === "destroy") return refuse(invalidState(machine, "stopped: it is being destroyed"));
  switch (machine.state) {
    case "created":
    case "stopped":
    case "failed":
      return { kind: "already" };
    case "starting":
    case "started":
    case "stopping":
      return { kind: "run" };
    default:
      return refuse(invalidState(machine, "stopped"));
  }
}

/** Decides about a destroy. A machine that runs, or has a request under way, needs `force`. */
export function decideDestroy(machine: Machine, active: Activity | undefined, force: boolean): Decision {
  if (machine.state === "destroyed") return { kind: "already" };
  if (active === "destroy") return { kind: "join" };
  const isBusy =
    active !== undefined ||
    machine.state === "starting" ||
    machine.state === "started" ||
    machine.state === "stopping";
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

function refuse(fault: Fault): Decision {
  return { kind: "refuse", fault };
}

function running(machine: Machine): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "MACHINE_RUNNING",
    `machine ${machine.id} is ${machine.state}: stop it first, or destroy it with force`,
    { machine_id: machine.id, state: machine.state },
  );
}
