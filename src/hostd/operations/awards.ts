import { Fault, invalid } from "../../lib/faults/fault.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { refuseWhileDraining, type Scheduling } from "../availability/scheduling.ts";
import { refuseSecondOfApp } from "../capacity/app-presence.ts";
import type { Ledger } from "../capacity/ledger.ts";
import type { Ports } from "../capacity/ports.ts";
import { newMachine } from "../machines/change.ts";
import type { Ids } from "../machines/ids.ts";
import { type NewLease, newLease } from "../machines/lease.ts";
import { hostNumberOf, type Machine, type MachineId } from "../machines/machine.ts";
import type { MachineSpec } from "../machines/version.ts";
import type { Store } from "../store/store.ts";
import { measureAward } from "../telemetry/operation-metrics.ts";

/** An award: a machine for a hold of this host. */
export interface Award {
  readonly id: MachineId;
  readonly spec: Omit<MachineSpec, "resources" | "createdAtMs" | "image" | "instanceId">;
  readonly reservationId: string;
  readonly epoch: bigint;
  /** Keep CPU and memory allocated for the first start. */
  readonly keepForLaunch: boolean;
  /** Whether proxies send it no requests until it is uncordoned. */
  readonly isCordoned: boolean;
  /** Lease that the machine begins with. */
  readonly lease?: NewLease | undefined;
}

export interface AwardParts {
  readonly number: number;
  readonly scheduling: { readonly current: Scheduling };
  readonly store: Pick<Store, "all" | "get" | "intend">;
  readonly ledger: Pick<Ledger, "award" | "undoAward" | "holdsOfApp" | "isDistinct">;
  readonly ports: Pick<Ports, "allocate" | "release">;
  readonly ids: Pick<Ids, "event">;
  readonly clock: Pick<Clock, "now">;
  /** `keepForLaunchMs`: how long CPU and memory stay allocated for the first start. */
  readonly limits: { readonly keepForLaunchMs: number };
}

/** Makes machines of holds. */
export class Awards {
  readonly #parts: AwardParts;
  readonly #underWay = new Map<string, Promise<Machine>>();

  constructor(parts: AwardParts) {
    this.#parts = parts;
  }

  /**
   * Turns a hold into a machine in state `creating`. A repeat returns the machine.
   *
   * @throws Fault WRONG_HOST, HOST_DRAINING, APP_PRESENT, HOLD_EXPIRED, HOLD_AWARDED, NO_FREE_PORT, DISK_FULL
   */
  create(award: Award): Promise<Machine> {
    const { id } = award;
    checkHost(id, this.#parts.number);
    const known = this.#parts.store.get(id);
    if (known) return Promise.resolve(known);
    const underWay = this.#underWay.get(id);
    if (underWay !== undefined) return underWay;
    const creating = measureAward(() => this.#create(award)).finally(() => this.#underWay.delete(id));
    this.#underWay.set(id, creating);
    return creating;
  }

  /** Returns the create of a machine that may not be stored yet. */
  underWay(id: MachineId): Promise<Machine> | undefined {
    return this.#underWay.get(id);
  }

  async #create(award: Award): Promise<Machine> {
    const { store, ledger, ports, clock, ids, limits } = this.#parts;
    const { id, spec, reservationId, epoch, keepForLaunch } = award;
    // A cordoned host still takes awards, because auctions are under way.
    refuseWhileDraining(this.#parts.scheduling, this.#parts.number);
    refuseSecondOfApp(this.#parts, spec.app, reservationId);
    const resources = ledger.award(reservationId, epoch, id, keepForLaunch ? limits.keepForLaunchMs : 0);
    let allocated: readonly number[] = [];
    try {
      checkSize(spec, resources);
      allocated = await ports.allocate(spec.config.services);
      const nowMs = clock.now();
      const instanceId = ids.event(nowMs);
      const change = newMachine(
        id,
        { ...spec, resources, createdAtMs: nowMs, instanceId },
        {
          ports: allocated,
          launchUntilMs: keepForLaunch ? nowMs + limits.keepForLaunchMs : undefined,
          isCordoned: award.isCordoned,
          lease: award.lease && newLease(award.lease, instanceId, nowMs),
        },
        { nowMs, eventId: ids.event(nowMs) },
      );
      await store.intend(change);
      return change.machine;
    } catch (err) {
      ports.release(allocated);
      ledger.undoAward(reservationId, id);
      throw err;
    }
  }
}

/** Refuses a machine of another host. @throws Fault WRONG_HOST */
export function checkHost(id: MachineId, hostNumber: number): void {
  const owner = hostNumberOf(id);
  if (owner === hostNumber) return;
  throw new Fault(
    "INVALID_ARGUMENT",
    "WRONG_HOST",
    `machine ${id} belongs to host ${owner}; this is host ${hostNumber}`,
    { machine_id: id, host_number: String(hostNumber), machine_host_number: String(owner) },
  );
}

function checkSize(spec: Award["spec"], held: { cpus: number; memoryMb: number }): void {
  const { cpus, memoryMb } = spec.config.guest;
  if (cpus <= held.cpus && memoryMb <= held.memoryMb) return;
  const description = `needs ${cpus} CPUs and ${memoryMb} MB; the reservation holds ${held.cpus} CPUs and ${held.memoryMb} MB`;
  throw invalid([{ field: "machine.config.guest", description }]);
}
