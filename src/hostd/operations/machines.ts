import { Fault } from "../../lib/faults/fault.ts";
import type { Credentials } from "../../lib/oci/auth/credentials.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { Pin, PullStep } from "../images/imagecache-client.ts";
import { prepared } from "../machines/change.ts";
import type { Awaited } from "../machines/decisions/wait.ts";
import { busyUntilMs, withBusy } from "../machines/health/busy.ts";
import { machineOfVm } from "../machines/ids.ts";
import { guardRight, type Right } from "../machines/lease.ts";
import {
  type Caller,
  invalidState,
  type Machine,
  type MachineId,
  notFound,
  type StopReason,
} from "../machines/machine.ts";
import { snapshotDropped } from "../machines/snapshot.ts";
import { isActive } from "../machines/states.ts";
import { type AwardParts, Awards, checkHost } from "./awards.ts";
import { Driver, type DriverParts } from "./driver.ts";
import type { StartResult, StopOptions, StopResult } from "./requests/request.ts";
import { SnapshotRoom, type SnapshotRoomParts } from "./saves/snapshot-room.ts";
import { ImagePins } from "./updates/image-pins.ts";
import type { UpdateRequest } from "./updates/updates.ts";
import { untilAwaited, type WaitParts } from "./waits.ts";

/** Proof that a call may start a machine, and who asked for it. */
export interface StartRight extends Right {
  readonly signal?: AbortSignal;
  readonly caller?: Caller;
  /** Needs no right, but refuses a cordoned machine. */
  readonly isFromProxy?: boolean;
}

export type MachinesParts = Omit<DriverParts, "pins" | "room"> & AwardParts & SnapshotRoomParts & WaitParts;

/**
 * The machines of this host. Finds the machine of a request, checks its organisation, and passes
 * the request to its driver.
 */
export class Machines {
  readonly awards: Awards;
  readonly #parts: MachinesParts;
  readonly #pins: ImagePins;
  readonly #drivers = new Map<string, Driver>();
  readonly #room: SnapshotRoom;

  constructor(parts: MachinesParts) {
    this.#parts = parts;
    this.awards = new Awards(parts);
    this.#pins = new ImagePins(parts);
    this.#room = new SnapshotRoom(parts, (id) => this.#dropSnapshot(id));
  }

  /** Returns a machine. @param org empty: of any organisation. @throws Fault MACHINE_NOT_FOUND */
  get(id: MachineId, org: string): Machine {
    const machine = this.#parts.store.get(id);
    if (!machine || (org !== "" && machine.spec.org !== org)) throw notFound(id);
    return machine;
  }

  list(): readonly Machine[] {
    return [...this.#parts.store.all()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /**
   * Makes the image local, then the machine `created`. Ends with the step `ready`; without steps
   * when the machine is prepared.
   */
  async *prepare(
    id: MachineId,
    credentials: Credentials | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<PullStep> {
    const { images } = this.#parts;
    const driver = this.driver(id);
    const { imageRef, org } = driver.machine.spec;
    const pull = (until: AbortSignal) => images.ensure(imageRef, { owner: id, org, credentials }, until);
    for await (const step of driver.prepare(pull, signal)) {
      if (step.kind === "ready") await this.#finishPrepare(driver, step);
      yield step;
    }
  }

  async start(
    id: MachineId,
    org: string,
    watchMs: number,
    { signal, caller, isFromProxy = false, ...right }: StartRight = {},
  ): Promise<StartResult> {
    const machine = isFromProxy ? this.get(id, org) : this.guarded(id, org, right);
    const guard = isFromProxy ? refuseCordoned : this.#guard(right);
    if (isFromProxy) refuseCordoned(machine);
    return this.driver(machine.id).starts.start(watchMs, guard, signal, caller);
  }

  async stop(id: MachineId, org: string, options: StopOptions, right: Right = {}): Promise<StopResult> {
    return this.driver(this.guarded(id, org, right).id).stops.stop(options);
  }

  /** Stops a machine that no proxy has used for so long, and whose program is not busy. @throws Fault MACHINE_IN_USE */
  async stopIdle(
    id: MachineId,
    org: string,
    options: StopOptions,
    unusedForMs: number,
    right: Right = {},
  ): Promise<StopResult> {
    const driver = this.driver(this.guarded(id, org, right).id);
    return driver.stops.stopIdle(options, { unusedForMs, guard: this.#guard(right) });
  }

  /**
   * Saves a machine and ends its VM; see {@link Suspends.suspend}.
   *
   * @param unusedForMs how long no proxy must have used it; undefined: whether it is idle or not
   */
  async suspend(
    id: MachineId,
    org: string,
    why: StopReason,
    unusedForMs: number | undefined,
    right: Right = {},
  ): Promise<StopResult> {
    const driver = this.driver(this.guarded(id, org, right).id);
    return driver.suspends.suspend(this.#guard(right), why, unusedForMs);
  }

  /**
   * Records until when the program of a machine says that it is busy, and returns until when that
   * counts; undefined: it is not busy.
   */
  async setBusy(id: MachineId, untilMs: number): Promise<number | undefined> {
    const { runtime } = this.driver(id);
    await runtime.note((machine, at) =>
      machine.state === "started" ? withBusy(machine, untilMs, at) : undefined,
    );
    return busyUntilMs(runtime.machine, this.#parts.clock.now());
  }

  async restart(id: MachineId, org: string, options: StopOptions, right: Right): Promise<Machine> {
    return this.driver(this.guarded(id, org, right).id).restarts.restart(options, this.#guard(right));
  }

  /** Replaces the version of a machine. See {@link Updates.update}. */
  async update(id: MachineId, org: string, request: UpdateRequest, signal: AbortSignal): Promise<Machine> {
    return this.driver(this.get(id, org).id).updates.update(request, signal);
  }

  /** Returns a machine that the call may change. @throws Fault MACHINE_NOT_FOUND, LEASE_HELD */
  guarded(id: MachineId, org: string, right: Right): Machine {
    const machine = this.get(id, org);
    this.#guard(right)(machine);
    return machine;
  }

  /**
   * Removes a machine: see {@link Driver.destroy}. Returns undefined when it is unknown and
   * `ignoreMissing` is set.
   */
  async destroy(
    id: MachineId,
    org: string,
    options: Right & { readonly force: boolean; readonly ignoreMissing: boolean },
  ): Promise<Machine | undefined> {
    // Otherwise a create that is not stored yet would survive its undo.
    await this.awards.underWay(id)?.catch(() => {});
    if (options.ignoreMissing && !this.#parts.store.get(id)) {
      checkHost(id, this.#parts.number);
      return undefined;
    }
    const driver = this.driver(this.guarded(id, org, options).id);
    return driver.destroy(options.force, { source: "user", message: "" });
  }

  /**
   * Waits until a machine is as awaited.
   *
   * @throws Fault MACHINE_NOT_FOUND, STATE_UNREACHABLE, REPLACED, WAIT_TIMEOUT; the reason of `signal`
   */
  wait(
    id: MachineId,
    org: string,
    awaited: Awaited,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Machine> {
    return untilAwaited(this.#parts, () => this.get(id, org), awaited, timeoutMs, signal);
  }

  /** Returns the driver of a machine. @throws Fault MACHINE_NOT_FOUND */
  driver(id: MachineId): Driver {
    const known = this.#drivers.get(id);
    if (known) return known;
    if (!this.#parts.store.get(id)) throw notFound(id);
    const driver = new Driver(id, { ...this.#parts, pins: this.#pins, room: this.#room });
    this.#drivers.set(id, driver);
    return driver;
  }

  /** Returns the pins of images that are pulled for updates, which no machine has yet. */
  pinsOfUpdates(): readonly Pin[] {
    return this.#pins.held;
  }

  /** Whether a VM belongs to a start under way, which may not be stored yet. */
  isLaunching(vmId: string): boolean {
    return this.#drivers.get(machineOfVm(vmId))?.runtime.launching === vmId;
  }

  pruneDrivers(): void {
    for (const id of this.#drivers.keys()) if (!this.#parts.store.get(id)) this.#drivers.delete(id);
    this.#parts.proxies.uses.prune((id) => this.#parts.store.get(id) !== undefined);
  }

  /** Stops listening to all VMs, which go on. */
  async detach(): Promise<void> {
    await Promise.all([...this.#drivers.values()].map((driver) => driver.detach()));
  }

  /** Stops every machine that runs or is to run again, and waits until the VMs are destroyed. */
  async stopAll(): Promise<void> {
    const running = this.list().filter(({ state }) => isActive(state));
    await Promise.allSettled(running.map(({ id }) => this.driver(id).stops.stop({})));
    await this.#parts.teardowns.all();
  }

  #dropSnapshot(id: MachineId): void {
    const dropped = this.driver(id).runtime.note(snapshotDropped);
    dropped.catch((error: unknown) => {
      logger.warn("the snapshot of a machine could not be dropped", { machine_id: id, error });
    });
  }

  /** Checks a call again when its turn has come: a lease may have been acquired since it arrived. */
  #guard(right: Right): (machine: Machine) => void {
    return (machine) => guardRight(machine, right, this.#parts.clock.now());
  }

  async #finishPrepare(driver: Driver, { image }: PullStep & { kind: "ready" }): Promise<void> {
    const { id } = driver.machine;
    const machine = await driver.runtime.intend((now, at) =>
      now.state === "creating" ? prepared(now, image, at) : undefined,
    );
    if (machine.state !== "destroying" && machine.state !== "destroyed") return;
    // The cache pinned the image after the removal had unpinned it.
    await this.#parts.images.unpin({ digest: machine.spec.imageRef.digest, owner: id });
    throw invalidState(machine, "prepared");
  }
}

/** @throws Fault MACHINE_CORDONED */
function refuseCordoned({ id, isCordoned }: Machine): void {
  if (!isCordoned) return;
  const message = `machine ${id} is cordoned: proxies send it no requests`;
  throw new Fault("FAILED_PRECONDITION", "MACHINE_CORDONED", message, { machine_id: id });
}
