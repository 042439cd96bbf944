import type { Machine, MachineState } from "../../machines/machine.ts";
import type { Target, WaitOptions } from "../../machines/machines.ts";
import {
  machineNotFound,
  unreachableState,
  versionReplaced,
  waitTimeout,
} from "../../machines/wait-faults.ts";

/** A machine as its host tells it to a watch. */
export interface WatchedMachine {
  /** Without its configuration. Undefined: the host does not have it. */
  readonly machine: Omit<Machine, "config"> | undefined;
  /** States that follow without another call. */
  readonly reachable: readonly MachineState[];
}

/** A condition on a machine that a call waits for. */
export type WaitTarget = Target & Omit<WaitOptions, "timeoutMs">;

/** How long a wait goes on without its host: at the beginning, and once the host has answered. */
const FIRST_ANSWER_LIMIT_MS = 5_000;
const RESUME_LIMIT_MS = 30_000;

/** Somebody who waits until a machine is in a state. */
export class Waiter {
  readonly target: WaitTarget;
  readonly #settled = Promise.withResolvers<Omit<Machine, "config">>();
  readonly #readHistory: () => Promise<Machine>;
  #last: MachineState | undefined;
  #latest: WatchedMachine | undefined;
  #awaySinceMs: number | undefined;
  /** Undefined: what happened before the watch is not known yet. */
  #history: "reading" | "read" | undefined;

  /** @param readHistory reads the machine with its newest events, for a wait from an event on */
  constructor(target: WaitTarget, nowMs: number, readHistory: () => Promise<Machine>) {
    this.target = target;
    this.#awaySinceMs = nowMs;
    this.#readHistory = readHistory;
    if (target.afterEventId === "") this.#history = "read";
    // Nobody listens when the wait was given up.
    this.#settled.promise.catch(() => {});
  }

  /**
   * Resolves with the machine in one of the states.
   *
   * @throws Fault `MACHINE_NOT_FOUND`, `STATE_UNREACHABLE`, `REPLACED`, `HOST_UNREACHABLE`
   */
  get settled(): Promise<Omit<Machine, "config">> {
    return this.#settled.promise;
  }

  update(watched: WatchedMachine): void {
    const { machine } = watched;
    const { machineId, org, states, afterEventId } = this.target;
    this.#awaySinceMs = undefined;
    this.#latest = watched;
    if (!machine || (org !== "" && machine.org !== org)) {
      this.fail(machineNotFound(machineId));
      return;
    }
    this.#last = machine.state;
    if (this.#isReplaced(machine) || !this.#isVersion(machine)) return;
    const isNews = afterEventId === "" || (machine.events[0]?.id ?? "") > afterEventId;
    if (isNews && states.includes(machine.state)) this.#settled.resolve(machine);
    else if (this.#history === undefined) void this.#recall();
    else if (this.#history === "read" && !this.#mayCome(watched))
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
  timeout(timeoutMs: number) {
    const { machineId, states } = this.target;
    return waitTimeout(machineId, this.#last ?? "unknown", states, timeoutMs);
  }

  /** Looks for a state among the events that came before the watch. The watch tells of later ones. */
  async #recall(): Promise<void> {
    this.#history = "reading";
    const machine = await this.#readHistory().catch(() => undefined);
    this.#history = "read";
    const { afterEventId, instanceId, states } = this.target;
    const events = machine?.events ?? [];
    const at = events.findLastIndex(
      (event) =>
        event.id > afterEventId &&
        states.includes(event.status) &&
        (instanceId === "" || !event.instanceId || event.instanceId === instanceId),
    );
    const event = events[at];
    if (machine && event)
      this.#settled.resolve({ ...machine, state: event.status, events: events.slice(at) });
    else if (this.#latest) this.update(this.#latest);
  }

  /** Whether another version has taken the place of the one that is waited for, which ends the wait. */
  #isReplaced(machine: Omit<Machine, "config">): boolean {
    const { machineId, instanceId, states } = this.target;
    const present = machine.instanceId ?? "";
    if (instanceId === "" || present <= instanceId) return false;
    if (states.includes("replaced")) this.#settled.resolve({ ...machine, state: "replaced" });
    else this.fail(versionReplaced(machineId, instanceId, present, states));
    return true;
  }

  /** Whether the machine has the version that is waited for; an update that brings it may be under way. */
  #isVersion({ instanceId = "" }: Omit<Machine, "config">): boolean {
    return this.target.instanceId === "" || instanceId === "" || instanceId === this.target.instanceId;
  }

  #mayCome({ machine, reachable }: WatchedMachine): boolean {
    const { states, acrossCalls } = this.target;
    if (states.some((state) => reachable.includes(state))) return true;
    return acrossCalls && machine?.state !== "destroyed" && machine?.state !== "destroying";
  }
}
