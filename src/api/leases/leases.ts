import { Fault, hasReason } from "../../lib/faults/fault.ts";
import type { Violations } from "../../lib/faults/violations.ts";
import { atHost, type HostLookup } from "../machines/host/find-host.ts";
import type { HostAddress } from "../machines/host/host-address.ts";
import type { MachineId } from "../machines/ids/machine-id.ts";
import type { Lease } from "../machines/machine.ts";
import type { Target } from "../machines/machines.ts";
import type { Caller, CallLimits } from "../requests/caller.ts";

const MIN_TTL_MS = 1_000;
const MAX_TTL_MS = 3_600_000;

/** A lease with its nonce, which is neither stored nor logged. */
export interface HeldLease extends Lease {
  readonly nonce: string;
}

/** A lease to acquire. */
export interface NewLease {
  readonly ttlMs: number;
  /** Subject of the caller's token. */
  readonly owner: string;
  readonly description: string;
  /** A repeat with the same one finds the lease. Absent: it is acquired once. */
  readonly requestId?: string;
}

export interface LeaseRequest extends NewLease {
  /** Nonce of the lease to refresh. Empty: acquire. */
  readonly nonce: string;
}

/** The part of hostd that holds leases. */
export interface HostLeases {
  acquireLease(host: HostAddress, target: Target & LeaseRequest, limits: CallLimits): Promise<HeldLease>;
  getLease(host: HostAddress, target: Target, limits: CallLimits): Promise<HeldLease>;
  releaseLease(
    host: HostAddress,
    target: Target & { readonly nonce: string },
    limits: CallLimits,
  ): Promise<void>;
}

/** Leases on machines, which their hosts hold. None of its calls needs the database. */
export class Leases {
  readonly #where: HostLookup;
  readonly #hosts: HostLeases;

  constructor(where: HostLookup, hosts: HostLeases) {
    this.#where = where;
    this.#hosts = hosts;
  }

  /**
   * Acquires or refreshes a lease.
   *
   * @throws Fault `LEASE_HELD`, `HOST_UNKNOWN`, `HOST_UNREACHABLE`, `INVALID_STATE`
   */
  acquire(id: MachineId, options: Omit<LeaseRequest, "owner">, caller: Caller): Promise<HeldLease> {
    const { org, subject: owner } = caller;
    return atHost(this.#where, id, org, "lease", (host) =>
      this.#hosts.acquireLease(host, { machineId: id, org, owner, ...options }, caller),
    );
  }

  /** @throws Fault `LEASE_NOT_FOUND` */
  get(id: MachineId, caller: Caller): Promise<HeldLease> {
    const { org } = caller;
    return this.#existing(id, org, (host) => this.#hosts.getLease(host, { machineId: id, org }, caller));
  }

  /** @throws Fault `LEASE_NOT_FOUND`, `LEASE_HELD` */
  release(id: MachineId, nonce: string, caller: Caller): Promise<void> {
    const { org } = caller;
    return this.#existing(id, org, (host) =>
      this.#hosts.releaseLease(host, { machineId: id, org, nonce }, caller),
    );
  }

  /**
   * Checks the lease of a machine for a call that its host does not check.
   *
   * @throws Fault `LEASE_HELD`
   */
  async guard(id: MachineId, nonce: string, caller: Caller): Promise<void> {
    try {
      const lease = await this.get(id, caller);
      if (lease.nonce !== nonce) throw leaseHeld(id, lease);
    } catch (err) {
      if (!hasReason(err, "LEASE_NOT_FOUND")) throw err;
    }
  }

  /** Calls the host. A destroyed machine is `LEASE_NOT_FOUND`. */
  async #existing<T>(id: MachineId, org: string, act: (host: HostAddress) => Promise<T>): Promise<T> {
    try {
      return await atHost(this.#where, id, org, "lease", act);
    } catch (err) {
      if (!hasReason(err, "INVALID_STATE")) throw err;
      const message = `machine ${id} has no lease: it is destroyed`;
      throw new Fault("NOT_FOUND", "LEASE_NOT_FOUND", message, { machine_id: id });
    }
  }
}

function leaseHeld(id: MachineId, { owner, expireTimeMs }: Lease): Fault {
  const expires = new Date(expireTimeMs).toISOString();
  const message = `machine ID ${id} lease currently held by ${owner}, expires at ${expires}`;
  return new Fault("ABORTED", "LEASE_HELD", message, { machine_id: id, owner, expire_time: expires });
}

/** Checks the duration of a lease: 1 s to 1 h. */
export function checkTtl(field: string, ttlMs: number, violations: Violations): void {
  violations.check(ttlMs >= MIN_TTL_MS && ttlMs <= MAX_TTL_MS, field, "must be 1 s to 1 h");
}
