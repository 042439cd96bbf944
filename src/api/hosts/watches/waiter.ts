import { machineNotFound, unreachableState, versionReplaced, waitTimeout } from "../../machines/faults.ts";
import {
  type AwaitedState,
  isInState,
  type Machine,
  type MachineEvent,
  type MachineState,
} from "../../machines/machine.ts";
import type { Target, WaitOptions } from "../../machines/machines.ts";

/** A machine as its host tells it to a watch. */
export interface WatchedMachine {
  /** Without its configuration. Undefined: the host does not have it. */
  readonly machine: Omit<Machine, "config"> | undefined;
  /** States that follow without another call. */
  readonly reachable: readonly MachineState[];
  /** Version that comes back when the present one, which does not count yet, fails. Empty: none. */
  readonly rollbackInstanceId: string;
}

/** A condition on a machine that a call waits for. */
export type WaitTarget = Target & Omit<WaitOptions, "timeoutMs">;

/** Time without its host after which a wait fails: before the host has answered, and afterwards. */
const FIRST_ANSWER_LIMIT_MS = 5_000;
const RESUME_LIMIT_MS = 30_000;

/** A call that waits until a machine is in a state. */
export class Waiter {
  readonly target: WaitTarget;
  readonly #settled = Promise.withResolvers<Omit<Machine, "config">>();
  readonly #readHistory: () => Promise<Machine>;
  #last: MachineState | undefined;
  /** Whether the machine has had the version that is waited for. */
  #hasHadVersion = false;
  #latest: WatchedMachine | undefined;
  #awaySinceMs: number | undefined;
  /** Undefined: the events before the watch are not known yet. */
  #history: "reading" | "read" | undefined;

  /**
   * @param readHistory reads the machine with its newest events, for a wait from an event or for a
   * version
   */
  constructor(target: WaitTarget, nowMs: number, readHistory: () => Promise<Machine>) {
    this.target = target;
    this.#awaySinceMs = nowMs;
    this.#readHistory = readHistory;
    if (target.afterEventId === "" && target.instanceId === "") this.#history = "read";
    // A wait that its caller has ended has no other handler.
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
    if (this.#isReplaced(machine, watched.rollbackInstanceId)) return;
    const isVersion = this.#isVersion(machine);
    if (isVersion) this.#hasHadVersion = true;
    if (isVersion && isInState(machine, states) && this.#isNews(machine)) this.#settled.resolve(machine);
    else if (this.#history === undefined && (afterEventId !== "" || !isVersion)) void this.#recall();
    else if (isVersion && this.#history !== "reading" && !this.#mayCome(watched))
      this.fail(unreachableState(machineId, machine.state, states));
  }

  /** Notes that the host does not answer. Fails the wait when the host has not answered for too long. */
  lost(fault: unknown, nowMs: number): void {
    const limitMs = this.#last === undefined ? FIRST_ANSWER_LIMIT_MS : RESUME_LIMIT_MS;
    this.#awaySinceMs ??= nowMs;
    // Changes of this time are not sent.
    if (this.#history === "read" && this.target.afterEventId !== "") this.#history = undefined;
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

  /** Looks for a state among the events before the watch. The watch sends later ones. */
  async #recall(): Promise<void> {
    this.#history = "reading";
    const machine = await this.#readHistory().catch(() => undefined);
    this.#history = "read";
    const { instanceId } = this.target;
    if (instanceId !== "" && machine?.events.some((event) => event.instanceId === instanceId))
      this.#hasHadVersion = true;
    const found = machine && this.#findAmongEvents(machine);
    if (found) this.#settled.resolve(found);
    else if (this.#latest) this.update(this.#latest);
  }

  /** Returns the machine as it was when it first came into a state after the event. */
  #findAmongEvents(machine: Machine): Machine | undefined {
    const { afterEventId, instanceId, states } = this.target;
    if (afterEventId === "") return undefined;
    const { events } = machine;
    const at = events.findLastIndex(
      (event) =>
        event.id > afterEventId &&
        comesInto(event, states) &&
        (instanceId === "" || !event.instanceId || event.instanceId === instanceId),
    );
    const event = events[at];
    if (event) return { ...machine, state: event.status, events: events.slice(at) };
    const isThere = this.#isVersion(machine) && this.#isNews(machine) && isInState(machine, states);
    return isThere ? machine : undefined;
  }

  /**
   * Whether the machine came into its state after the event. Some states have no event: they follow
   * the newest.
   */
  #isNews({ state, events }: Omit<Machine, "config">): boolean {
    const { afterEventId, states } = this.target;
    if (afterEventId === "") return true;
    // A machine without anything to wait for is ready with its start.
    const makesReady = (type: string) => type === "ready" || type === "start";
    if (!states.includes(state)) return events.some(({ id, type }) => makesReady(type) && id > afterEventId);
    const newest = events.find(isMove);
    if (newest === undefined) return false;
    return newest.id > afterEventId || (newest.id === afterEventId && newest.status !== state);
  }

  /** Whether another version has taken the place of the one that is waited for, for good, which ends the wait. */
  #isReplaced(machine: Omit<Machine, "config">, rollbackInstanceId: string): boolean {
    const { machineId, instanceId, states } = this.target;
    const present = machine.instanceId ?? "";
    if (instanceId === "" || present === "" || present === instanceId) return false;
    if (rollbackInstanceId === instanceId) return false;
    // One that is older was there before the update that brings the version, or is back after it.
    if (present < instanceId && !this.#hasHadVersion) return false;
    if (states.includes("replaced")) this.#settled.resolve({ ...machine, state: "replaced" });
    else this.fail(versionReplaced(machineId, instanceId, present, states));
    return true;
  }

  /** Whether the machine has the version that is waited for; an update that brings it may be under way. */
  #isVersion({ instanceId = "" }: Omit<Machine, "config">): boolean {
    return this.target.instanceId === "" || instanceId === "" || instanceId === this.target.instanceId;
  }

  #mayCome({ machine, reachable }: WatchedMachine): boolean {
    const { states, instanceId, acrossCalls } = this.target;
    const canStart = machine?.state === "started" || reachable.includes("started");
    if (states.some((state) => (state === "ready" ? canStart : reachable.includes(state)))) return true;
    // Only a call makes another version.
    const isAcross = acrossCalls || (instanceId !== "" && states.includes("replaced"));
    return isAcross && machine?.state !== "destroyed" && machine?.state !== "destroying";
  }
}

/** Events with the state that the machine keeps. */
const BESIDE: ReadonlySet<string> = new Set(["cordon", "uncordon", "ready", "check"]);

/** Whether an event is of a change of the state. */
function isMove({ type }: Pick<MachineEvent, "type">): boolean {
  return !BESIDE.has(type);
}

/** Whether a machine comes into one of the states by an event. */
function comesInto(event: MachineEvent, states: readonly AwaitedState[]): boolean {
  if (event.type === "ready") return states.includes("ready");
  return isMove(event) && states.includes(event.status);
}
