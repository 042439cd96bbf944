import { Fault, invalid } from "../../lib/faults/fault.ts";
import { abortable } from "../../lib/runtime/abort.ts";
import { TimeLimit } from "../../lib/runtime/wait.ts";
import { refuseWhileDraining } from "../availability/scheduling.ts";
import { refuseSecondOfApp } from "../capacity/app-presence.ts";
import { newMachine, prepared } from "../machines/change.ts";
import type { Host, PullStep } from "../machines/host.ts";
import { machineOfVm } from "../machines/ids.ts";
import {
  hostNumberOf,
  invalidState,
  type Machine,
  type MachineId,
  type MachineSpec,
  notFound,
} from "../machines/machine.ts";
import { hasVm, type MachineState } from "../machines/states.ts";
import { decideWait, waitTimeout } from "../machines/wait.ts";
import { Driver, type StopResult } from "./driver.ts";
import type { StartResult } from "./launch.ts";
import type { StopOptions } from "./stop-operation.ts";

/** A machine to be placed here, for a hold that won its auction. */
export interface Placement {
  readonly id: MachineId;
  readonly spec: Omit<MachineSpec, "resources" | "createdAtMs" | "image">;
  readonly reservationId: string;
  readonly epoch: bigint;
  readonly keepForLaunch: boolean;
}

/** The machines of this host: finds the one that is meant, checks whose it is, and hands the request to its driver. */
export class Machines {
  readonly #host: Host;
  readonly #drivers = new Map<string, Driver>();
  readonly #creating = new Map<string, Promise<Machine>>();

  constructor(host: Host) {
    this.#host = host;
  }

  /**
   * Turns a hold into a machine, `creating`. The same again returns the machine.
   *
   * @throws Fault WRONG_HOST, HOST_DRAINING, APP_PRESENT, HOLD_EXPIRED, HOLD_AWARDED, NO_FREE_PORT, DISK_FULL
   */
  create(placement: Placement): Promise<Machine> {
    const { id } = placement;
    if (hostNumberOf(id) !== this.#host.number) throw wrongHost(id, this.#host.number);
    const known = this.#host.store.get(id);
    if (known) return Promise.resolve(known);
    const underWay = this.#creating.get(id);
    if (underWay !== undefined) return underWay;
    const award = () => this.#create(placement);
    const creating = this.#host.meter.award(award).finally(() => this.#creating.delete(id));
    this.#creating.set(id, creating);
    return creating;
  }

  /** A machine. `org` empty: anybody's. */
  get(id: MachineId, org: string): Machine {
    const machine = this.#host.store.get(id);
    if (!machine || (org !== "" && machine.spec.org !== org)) throw notFound(id);
    return machine;
  }

  /** All machines, by id. */
  list(): readonly Machine[] {
    return [...this.#host.store.all()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Makes the machine's image local and the machine `created`; ends with `ready`, or at once when it is prepared already. */
  async *prepare(id: MachineId, signal: AbortSignal): AsyncGenerator<PullStep> {
    const driver = this.#driver(id);
    const { imageRef } = driver.machine.spec;
    for await (const step of driver.prepare(
      (until) => this.#host.images.ensure(imageRef, id, until),
      signal,
    )) {
      if (step.kind === "ready") await this.#prepared(driver, step);
      yield step;
    }
  }

  /** Starts a machine; see `launch`. */
  start(id: MachineId, org: string, watchMs: number): Promise<StartResult> {
    return this.#driver(this.get(id, org).id).start(watchMs);
  }

  /** Stops a machine; see `Halt`. */
  stop(id: MachineId, org: string, options: StopOptions): Promise<StopResult> {
    return this.#driver(this.get(id, org).id).stop(options);
  }

  /** Removes a machine. Undefined when there is none and `ignoreMissing` is set. */
  async destroy(
    id: MachineId,
    org: string,
    options: { force: boolean; ignoreMissing: boolean },
  ): Promise<Machine | undefined> {
    // A create that is still being stored must not come to life after its undo.
    await this.#creating.get(id)?.catch(() => {});
    if (options.ignoreMissing && !this.#host.store.get(id)) {
      if (hostNumberOf(id) !== this.#host.number) throw wrongHost(id, this.#host.number);
      return undefined;
    }
    return this.#driver(this.get(id, org).id).destroy(options.force, { source: "user", message: "" });
  }

  /**
   * Waits until a machine is in one of `states`.
   *
   * @throws Fault STATE_UNREACHABLE, WAIT_TIMEOUT; the reason of `signal` when it aborts
   */
  async wait(
    id: MachineId,
    org: string,
    states: readonly MachineState[],
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Machine> {
    let last = this.get(id, org);
    const { store, clock } = this.#host;
    const { promise, resolve, reject } = Promise.withResolvers<Machine>();
    const look = (machine: Machine): void => {
      last = machine;
      const decision = decideWait(machine, states, clock.now());
      if (decision.kind === "done") resolve(machine);
      if (decision.kind === "fail") reject(decision.fault);
    };
    using limit = new TimeLimit(timeoutMs, signal, () => waitTimeout(last, states, timeoutMs));
    const unsubscribe = store.subscribe(id, look);
    try {
      look(last);
      return await abortable(promise, limit.signal);
    } finally {
      unsubscribe();
    }
  }

  /** The driver of a machine; for the reconciler. */
  driver(id: MachineId): Driver {
    return this.#driver(id);
  }

  /** Whether a VM is that of a start under way, which need not be stored yet. */
  isLaunching(vmId: string): boolean {
    return this.#drivers.get(machineOfVm(vmId))?.runtime.launching === vmId;
  }

  /** Forgets drivers of machines that are no more. */
  prune(): void {
    for (const id of this.#drivers.keys()) if (!this.#host.store.get(id)) this.#drivers.delete(id);
  }

  /** Stops listening to all VMs, which go on. */
  async detach(): Promise<void> {
    await Promise.all([...this.#drivers.values()].map((driver) => driver.runtime.detach()));
  }

  /** Stops every machine that has a VM, as its configuration says: for a host that is being shut down. */
  async stopAll(): Promise<void> {
    const running = this.list().filter(({ state }) => hasVm(state));
    await Promise.allSettled(running.map(({ id }) => this.#driver(id).stop({})));
    await this.#host.teardowns.all();
  }

  async #create(placement: Placement): Promise<Machine> {
    const { store, ledger, ports, clock, ids, limits } = this.#host;
    const { id, spec, reservationId, epoch, keepForLaunch } = placement;
    // Cordoned, it keeps its word to auctions that are under way; it is only being emptied that goes before.
    refuseWhileDraining(this.#host.scheduling, this.#host.number);
    refuseSecondOfApp(this.#host, spec.app, reservationId);
    const resources = ledger.award(reservationId, epoch, id, keepForLaunch ? limits.keepForLaunchMs : 0);
    let taken: readonly number[] = [];
    try {
      checkSize(spec, resources);
      taken = await ports.allocate(spec.config.services);
      const nowMs = clock.now();
      const change = newMachine(
        id,
        { ...spec, resources, createdAtMs: nowMs },
        { ports: taken, launchUntilMs: keepForLaunch ? nowMs + limits.keepForLaunchMs : undefined },
        { nowMs, eventId: ids.event(nowMs) },
      );
      await store.intend(change);
      return change.machine;
    } catch (err) {
      ports.release(taken);
      ledger.takeBack(reservationId, id);
      throw err;
    }
  }

  async #prepared(driver: Driver, { image }: PullStep & { kind: "ready" }): Promise<void> {
    const { id } = driver.machine;
    const machine = await driver.runtime.intend((now, at) =>
      now.state === "creating" ? prepared(now, image, at) : undefined,
    );
    if (machine.state !== "destroying" && machine.state !== "destroyed") return;
    // Destroyed while the image came: its pin was made after the removal had dropped it.
    await this.#host.images.unpin({ digest: machine.spec.imageRef.digest, owner: id });
    throw invalidState(machine, "prepared");
  }

  #driver(id: MachineId): Driver {
    const known = this.#drivers.get(id);
    if (known) return known;
    if (!this.#host.store.get(id)) throw notFound(id);
    const driver = new Driver(id, this.#host);
    this.#drivers.set(id, driver);
    return driver;
  }
}

function checkSize(spec: Placement["spec"], held: { cpus: number; memoryMb: number }): void {
  const { cpus, memoryMb } = spec.config.guest;
  if (cpus <= held.cpus && memoryMb <= held.memoryMb) return;
  throw invalid([
    {
      field: "machine.config.guest",
      description: `needs ${cpus} CPUs and ${memoryMb} MB; the reservation holds ${held.cpus} CPUs and ${held.memoryMb} MB`,
    },
  ]);
}

function wrongHost(id: MachineId, number: number): Fault {
  const message = `machine ${id} belongs to host ${hostNumberOf(id)}; this is host ${number}`;
  return new Fault("INVALID_ARGUMENT", "WRONG_HOST", message, {
    machine_id: id,
    host_number: String(number),
    machine_host_number: String(hostNumberOf(id)),
  });
}
