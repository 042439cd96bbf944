import type { Hosts } from "../hosts/hosts.ts";
import type { Address, MachineView } from "../hosts/machine-view.ts";
import type { Candidate } from "../machines/choice.ts";
import type { Loads } from "../machines/loads.ts";
import type { Member, PortPool } from "../routes/port-pool.ts";
import { currentView, readinessOf } from "./readiness.ts";
import type { Starts } from "./starts.ts";

/** For how long a machine that has refused a connection comes after others. */
const DOUBT_MS = 500;

/** What this proxy knows of machines, as a choice needs it. */
export class FleetView {
  readonly #hosts: Hosts;
  readonly #starts: Starts;
  readonly #loads: Loads;
  readonly #now: () => number;
  /** When machines were first seen on their way to being ready. */
  readonly #pendingMs = new Map<string, number>();
  readonly #refusedMs = new Map<string, number>();
  /** Machines that have been ready in the run that they are in. */
  readonly #wereReady = new Set<string>();

  constructor(hosts: Hosts, starts: Starts, loads: Loads, now: () => number) {
    this.#hosts = hosts;
    this.#starts = starts;
    this.#loads = loads;
    this.#now = now;
  }

  /** @param pace bounds what a machine without hard limit is given; by id */
  candidates({ members }: PortPool, pace?: ReadonlyMap<string, number>): Candidate[] {
    return members.map((member) => this.#candidate(member, pace));
  }

  /** Returns where a member's service is reached, when it takes requests now. */
  placeOf({ machine, service }: Member): (MachineView & { readonly address: Address }) | undefined {
    const view = this.viewOf(machine.id);
    const address = view?.addresses.get(service.internalPort);
    const isOpen = view?.state === "started" && view.ready && !view.cordoned;
    return isOpen && address ? { ...view, address } : undefined;
  }

  viewOf(machineId: string): MachineView | undefined {
    return this.#hosts.linkOf(machineId)?.view(machineId);
  }

  /** The host has told something of a machine. */
  viewChanged(machineId: string): void {
    const view = this.viewOf(machineId);
    if (view?.state !== "started") this.#wereReady.delete(machineId);
    else if (view.ready) this.#wereReady.add(machineId);
  }

  refused(machineId: string): void {
    this.#refusedMs.set(machineId, this.#now());
  }

  /** Forgets a machine that is there no more. */
  forget(machineId: string): void {
    this.#pendingMs.delete(machineId);
    this.#refusedMs.delete(machineId);
    this.#wereReady.delete(machineId);
  }

  #candidate(member: Member, pace: ReadonlyMap<string, number> | undefined): Candidate {
    const { machine, service } = member;
    const { id, region } = machine;
    const { softLimit, hardLimit } = service.concurrency;
    const nowMs = this.#now();
    const link = this.#hosts.linkOf(id);
    const told = link?.view(id);
    const readiness = readinessOf(member, {
      view: told,
      link: link?.state,
      isStarting: this.#starts.isUnderWay(id),
      failure: this.#starts.failureOf(id),
      nowMs,
    });
    const paced = pace ? Math.max(softLimit, pace.get(id) ?? 0) : Number.POSITIVE_INFINITY;
    const refusedMs = this.#refusedMs.get(id);
    return {
      ...{ id, region, readiness, softLimit },
      load: this.#loads.of(id, service.internalPort),
      hardLimit: hardLimit > 0 ? hardLimit : paced,
      isDoubtful: refusedMs !== undefined && nowMs - refusedMs < DOUBT_MS,
      isSlow: this.#isSlow(id, readiness === "pending", service.wakeTimeoutMs / 2),
      isSuspended: (currentView(machine, told, link?.state) ?? machine).state === "suspended",
    };
  }

  #isSlow(machineId: string, isPending: boolean, limitMs: number): boolean {
    if (!isPending) {
      this.#pendingMs.delete(machineId);
      return false;
    }
    const now = this.#now();
    const sinceMs = this.#pendingMs.get(machineId) ?? now;
    this.#pendingMs.set(machineId, sinceMs);
    // One whose checks fail is not on its way: nobody knows when it will be well again.
    return this.#wereReady.has(machineId) || now - sinceMs > limitMs;
  }
}
