import { EventEmitter } from "node:events";
import { Fault } from "../../lib/faults/fault.ts";
import { busyUntilMs } from "../machines/health/busy.ts";
import type { Machine } from "../machines/machine.ts";
import { Uses, type UsesOptions } from "./uses.ts";

/** Pause before a stop of a machine that a proxy uses is worth another try. */
const RETRY_MS = 1_000;

/** What hostd knows of machines for the sake of proxies: who uses them, and which are about to be stopped. */
export class Proxies {
  readonly uses: Uses;
  readonly #leaving = new Set<string>();
  readonly #listeners = new EventEmitter();
  /** Readiness of machines that run, as their checks see it now; the store has it a little later. */
  readonly #ready = new Map<string, boolean>();
  /** Number of running commands, by machine id. */
  readonly #commands = new Map<string, number>();

  constructor(options: UsesOptions) {
    this.uses = new Uses(options);
    this.#listeners.setMaxListeners(0);
  }

  /** Whether a machine that is `started` is about to be stopped. */
  isLeaving(machineId: string): boolean {
    return this.#leaving.has(machineId);
  }

  /** Tells proxies, before the state is stored, that a machine will be stopped. */
  leave(machineId: string): void {
    if (this.#leaving.has(machineId)) return;
    this.#leaving.add(machineId);
    this.changed(machineId);
  }

  /** Tells proxies of the end of a run that a call has asked for, until the state says it, or `done` settles. */
  leaveFor({ id, state }: Machine, done: Promise<unknown>): void {
    if (state === "started") this.leave(id);
    this.settleAfter(id, done);
  }

  settleAfter(machineId: string, done: Promise<unknown>): void {
    const settle = () => this.settle(machineId);
    done.then(settle, settle);
  }

  /** Called after each change of a machine. */
  stateChanged(after: Machine, before: Machine): void {
    if (after.state !== "started") this.settle(after.id);
    else if (before.state !== "started") this.uses.started(after.id);
  }

  /** Takes {@link leave} back: its state says it now, or the stop was not stored. */
  settle(machineId: string): void {
    if (this.#leaving.delete(machineId)) this.changed(machineId);
  }

  /** Whether proxies may send requests to a machine, if it is `started`. */
  isReady({ id, isReady = false }: Machine): boolean {
    return this.#ready.get(id) ?? isReady;
  }

  /** Tells proxies whether a machine is ready. Undefined: as the store says. */
  setReady(machineId: string, isReady: boolean | undefined): void {
    if (this.#ready.get(machineId) === isReady) return;
    if (isReady === undefined) this.#ready.delete(machineId);
    else this.#ready.set(machineId, isReady);
    this.changed(machineId);
  }

  /** Tells the proxies that watch a machine that more than its stored value has changed. */
  changed(machineId: string): void {
    this.#listeners.emit(machineId);
  }

  /** Calls `listener` at each {@link changed}. Returns a function that ends the subscription. */
  subscribe(machineId: string, listener: () => void): () => void {
    this.#listeners.on(machineId, listener);
    return () => this.#listeners.off(machineId, listener);
  }

  /** Notes that a command runs in a machine, until what is returned is called. */
  commandRuns(machineId: string): () => void {
    this.#commands.set(machineId, (this.#commands.get(machineId) ?? 0) + 1);
    return () => {
      const left = (this.#commands.get(machineId) ?? 1) - 1;
      if (left > 0) this.#commands.set(machineId, left);
      else this.#commands.delete(machineId);
    };
  }

  /**
   * Lets a machine be stopped for being idle. From a call of this until the stop is stored nothing
   * may wait but the store, after {@link leave}.
   *
   * @throws Fault MACHINE_IN_USE
   */
  requireUnused(machine: Machine, forMs: number, nowMs: number): void {
    const busyMs = (busyUntilMs(machine, nowMs) ?? nowMs) - nowMs;
    if (busyMs > 0) throw inUse(machine.id, "its program is busy", busyMs);
    if (this.#commands.has(machine.id)) throw inUse(machine.id, "a command runs in it", 0);
    const idleness = this.uses.idleness(machine.id);
    if (idleness.kind === "used")
      throw inUse(machine.id, "a proxy uses it, or may", (idleness.leftMs ?? 0) + forMs);
    if (idleness.forMs >= forMs) return;
    const since = `it has been unused for ${Math.floor(idleness.forMs)} ms only`;
    throw inUse(machine.id, since, forMs - idleness.forMs);
  }
}

/** Makes the fault for a machine that is not idle. */
export function inUse(id: string, why: string, leftMs: number): Fault {
  const message = `machine ${id} is in use: ${why}`;
  const retryAfterMs = Math.max(RETRY_MS, Math.ceil(leftMs));
  return new Fault("FAILED_PRECONDITION", "MACHINE_IN_USE", message, { machine_id: id }, { retryAfterMs });
}
