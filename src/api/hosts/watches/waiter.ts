import { Fault } from "../../../lib/faults/fault.ts";
import type { Machine, MachineState } from "../../machines/machine.ts";

/** A machine as its host tells it to a watch. */
export interface WatchedMachine {
  /** Without its configuration. Undefined: the host does not have it. */
  readonly machine: Omit<Machine, "config"> | undefined;
  /** States that follow without another call. */
  readonly reachable: readonly MachineState[];
}

/** A condition on a machine that a call waits for. */
export interface WaitTarget {
  readonly machineId: string;
  /** Empty: any. */
  readonly org: string;
  readonly states: readonly MachineState[];
}

/** How long a wait goes on without its host: at the beginning, and once the host has answered. */
const FIRST_ANSWER_LIMIT_MS = 5_000;
const RESUME_LIMIT_MS = 30_000;

/** Somebody who waits until a machine is in a state. */
export class Waiter {
  readonly target: WaitTarget;
  readonly #settled = Promise.withResolvers<Omit<Machine, "config">>();
  #last: MachineState | undefined;
  #awaySinceMs: number | undefined;

  constructor(target: WaitTarget, nowMs: number) {
    this.target = target;
    this.#awaySinceMs = nowMs;
    // Nobody listens when the wait was given up.
    this.#settled.promise.catch(() => {});
  }

  /** Resolves with the machine in one of the states. @throws Fault `MACHINE_NOT_FOUND`, `STATE_UNREACHABLE`, `HOST_UNREACHABLE` */
  get settled(): Promise<Omit<Machine, "config">> {
    return this.#settled.promise;
  }

  /** The last state that the host has told. */
  get last(): MachineState | undefined {
    return this.#last;
  }

  update({ machine, reachable }: WatchedMachine): void {
    const { machineId, org, states } = this.target;
    this.#awaySinceMs = undefined;
    if (!machine || (org !== "" && machine.org !== org)) {
      this.fail(notFound(machineId));
      return;
    }
    this.#last = machine.state;
    if (states.includes(machine.state)) this.#settled.resolve(machine);
    else if (!states.some((state) => reachable.includes(state)))
      this.fail(unreachableState(machineId, machine.state, states));
  }

  /** Notes that the host does not answer; the wait fails once that has been so for too long. */
  lost(fault: unknown, nowMs: number): void {
    const limitMs = this.#last === undefined ? FIRST_ANSWER_LIMIT_MS : RESUME_LIMIT_MS;
    this.#awaySinceMs ??= nowMs;
    if (nowMs - this.#awaySinceMs >= limitMs) this.fail(fault);
  }

  fail(fault: unknown): void {
    this.#settled.reject(fault);
  }

  /** Makes the fault of a wait whose time is over. */
  timeout(timeoutMs: number): Fault {
    const { machineId, states } = this.target;
    const state = this.#last ?? "unknown";
    return new Fault(
      "DEADLINE_EXCEEDED",
      "WAIT_TIMEOUT",
      `machine ${machineId} is ${state} and did not become ${states.join(" or ")} within ${timeoutMs} ms`,
      { machine_id: machineId, state, states: states.join(","), timeout_ms: String(timeoutMs) },
    );
  }
}

function notFound(id: string): Fault {
  return new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", `there is no machine ${id}`, { machine_id: id });
}

function unreachableState(id: string, state: MachineState, states: readonly MachineState[]): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "STATE_UNREACHABLE",
    `machine ${id} is ${state} and will not become ${states.join(" or ")} without another call`,
    { machine_id: id, state, states: states.join(",") },
  );
}
