import { Fault, invalid } from "../../lib/faults/fault.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { cordoned, versionMismatch, withMetadata } from "../machines/decisions/update.ts";
import {
  acquireLease,
  guardLease,
  guardRight,
  type NewLease,
  type Right,
  refreshLease,
  requireLease,
} from "../machines/lease.ts";
import { invalidState, type Lease, type Machine, type MachineId } from "../machines/machine.ts";
import { nextGeneration } from "../machines/stamp.ts";
import type { Step } from "./machine-runtime.ts";
import type { Machines } from "./machines.ts";

/** Entries of metadata to set and to remove. */
export interface MetadataPatch {
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
  /** Removes every key that is not in `set`. */
  readonly replace: boolean;
  /** Version that the machine must have; empty: any. */
  readonly currentVersion: string;
}

const MAX_METADATA = { entries: 64, keyBytes: 128, valueBytes: 2_048 };

/** The changes of machines that start and stop nothing: leases, cordons, metadata, signals. They wait for no operation. */
export class MachineChanges {
  readonly #machines: Pick<Machines, "get" | "guarded" | "driver">;
  readonly #clock: Pick<Clock, "now">;

  constructor(machines: Pick<Machines, "get" | "guarded" | "driver">, clock: Pick<Clock, "now">) {
    this.#machines = machines;
    this.#clock = clock;
  }

  /** Acquires the lease of a machine, or with its nonce refreshes it. @throws Fault LEASE_HELD, LEASE_NOT_FOUND, INVALID_STATE */
  async acquireLease(id: MachineId, org: string, wanted: NewLease, nonce: string): Promise<Lease> {
    const machine = await this.#change(id, org, (now, at) => {
      if (now.state === "destroying" || now.state === "destroyed") throw invalidState(now, "leased");
      const lease =
        nonce === "" ? acquireLease(now, wanted, at.nowMs) : refreshLease(now, nonce, wanted, at.nowMs);
      return { machine: { ...nextGeneration(now, at), lease } };
    });
    return requireLease(machine, this.#clock.now());
  }

  /** Returns the lease of a machine. @throws Fault LEASE_NOT_FOUND */
  lease(id: MachineId, org: string): Lease {
    return requireLease(this.#machines.get(id, org), this.#clock.now());
  }

  /** Releases the lease of a machine. @throws Fault LEASE_HELD, LEASE_NOT_FOUND */
  async releaseLease(id: MachineId, org: string, nonce: string): Promise<void> {
    await this.#change(id, org, (now, at) => {
      requireLease(now, at.nowMs);
      guardLease(now, nonce, at.nowMs);
      const { lease: _, ...rest } = nextGeneration(now, at);
      return { machine: rest };
    });
  }

  /** Sets or ends the cordon. @throws Fault LEASE_HELD, INVALID_STATE */
  async setCordon(id: MachineId, org: string, isCordoned: boolean, right: Right): Promise<Machine> {
    return this.#change(id, org, (now, at) => {
      guardRight(now, right, at.nowMs);
      refuseGone(now, isCordoned ? "cordoned" : "uncordoned");
      return cordoned(now, isCordoned, at);
    });
  }

  /** Changes the metadata, whoever holds the lease. @throws Fault INVALID_FIELDS, VERSION_MISMATCH, INVALID_STATE */
  async updateMetadata(id: MachineId, org: string, patch: MetadataPatch): Promise<Machine> {
    this.#machines.get(id, org);
    return this.#change(id, org, (now, at) => {
      refuseGone(now, "changed");
      if (patch.currentVersion !== "" && patch.currentVersion !== now.spec.instanceId)
        throw versionMismatch("FAILED_PRECONDITION", now, patch.currentVersion);
      const change = withMetadata(now, (metadata) => patched(metadata, patch), at);
      if (change) checkMetadata(change.machine.spec.config.metadata);
      return change;
    });
  }

  /** Signals the main process, also one that is being stopped. @throws Fault LEASE_HELD, INVALID_STATE, UNAVAILABLE / SIGNAL_FAILED */
  async signal(id: MachineId, org: string, signal: number, right: Right): Promise<Machine> {
    const machine = this.#machines.guarded(id, org, right);
    const { runtime } = this.#machines.driver(id);
    if (machine.state === "destroying" || !runtime.vm) throw invalidState(machine, "signalled");
    try {
      await runtime.vm.signal(signal);
    } catch (cause) {
      const message = `machine ${id} did not take the signal`;
      throw new Fault("UNAVAILABLE", "SIGNAL_FAILED", message, { machine_id: id }, { cause });
    }
    return runtime.machine;
  }

  #change(id: MachineId, org: string, step: Step): Promise<Machine> {
    return this.#machines.driver(this.#machines.get(id, org).id).runtime.intend(step);
  }
}

function patched(
  metadata: Readonly<Record<string, string>>,
  { set, remove, replace }: MetadataPatch,
): Readonly<Record<string, string>> {
  const removed = new Set(remove);
  const kept = replace ? [] : Object.entries(metadata).filter(([key]) => !removed.has(key));
  // Not by assignment, which drops a key of the name `__proto__`.
  return Object.fromEntries([...kept, ...Object.entries(set)]);
}

/** Checks what the api has checked for the request, for the machine as it would be. */
function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  const { entries, keyBytes, valueBytes } = MAX_METADATA;
  const all = Object.entries(metadata);
  const tooLarge = all.find(
    ([key, value]) => Buffer.byteLength(key) > keyBytes || Buffer.byteLength(value) > valueBytes,
  );
  if (all.length <= entries && !tooLarge) return;
  const description = `has at most ${entries} entries, with keys up to ${keyBytes} bytes and values up to ${valueBytes} bytes`;
  throw invalid([{ field: "set", description }]);
}

function refuseGone(machine: Machine, what: string): void {
  if (machine.state === "destroying" || machine.state === "destroyed") throw invalidState(machine, what);
}
