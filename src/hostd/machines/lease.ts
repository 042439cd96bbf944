import { timingSafeEqual } from "node:crypto";
import { Fault } from "../../lib/faults/fault.ts";
import type { Lease, Machine } from "./machine.ts";

/** A lease to acquire. */
export interface NewLease {
  readonly ttlMs: number;
  readonly owner: string;
  readonly description: string;
  /** A repeat with the same one finds the lease. Empty: there is none. */
  readonly requestId: string;
}

/** Proof that a call may change a leased machine. */
export interface Right {
  /** Nonce of the machine's lease; empty: none. */
  readonly nonce?: string;
  readonly ignoreLease?: boolean;
}

/** Returns the lease that is held; undefined when there is none, or it has expired. */
export function heldLease({ lease }: Pick<Machine, "lease">, nowMs: number): Lease | undefined {
  return lease && lease.expireAtMs > nowMs ? lease : undefined;
}

/** Lets a call change a machine that is not leased, or whose lease it has. @throws Fault LEASE_HELD */
export function guardLease(machine: Machine, nonce: string, nowMs: number): void {
  const held = heldLease(machine, nowMs);
  if (held && !isSame(held.nonce, nonce)) throw leaseHeld(machine.id, held);
}

/** Lets a call change a machine by its right. @throws Fault LEASE_HELD */
export function guardRight(
  machine: Machine,
  { nonce = "", ignoreLease = false }: Right,
  nowMs: number,
): void {
  if (!ignoreLease) guardLease(machine, nonce, nowMs);
}

/**
 * Acquires a lease, or finds that of the same request, whose time begins anew.
 *
 * @throws Fault LEASE_HELD, REQUEST_ID_REUSED
 */
export function acquireLease(machine: Machine, wanted: NewLease, nowMs: number): Lease {
  const held = heldLease(machine, nowMs);
  const { requestId, owner, ttlMs, description } = wanted;
  const isRepeat = requestId !== "" && held?.requestId === requestId && held.owner === owner;
  if (held && isRepeat) {
    if (held.description !== description) throw reused(machine.id, requestId);
    return { ...held, expireAtMs: nowMs + ttlMs };
  }
  if (held) throw leaseHeld(machine.id, held);
  return newLease(wanted, machine.spec.instanceId, nowMs);
}

/** Makes a lease with a new nonce. */
export function newLease(wanted: NewLease, instanceId: string, nowMs: number): Lease {
  const { ttlMs, owner, description, requestId } = wanted;
  const nonce = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex");
  const lease = { nonce, owner, description, expireAtMs: nowMs + ttlMs, instanceId };
  return requestId === "" ? lease : { ...lease, requestId };
}

/** Extends a lease to its TTL from now. Its nonce stays. @throws Fault LEASE_NOT_FOUND, LEASE_HELD */
export function refreshLease(
  machine: Machine,
  nonce: string,
  { ttlMs, description }: NewLease,
  nowMs: number,
): Lease {
  const held = requireLease(machine, nowMs);
  guardLease(machine, nonce, nowMs);
  return { ...held, expireAtMs: nowMs + ttlMs, description: description || held.description };
}

/** Returns the lease that is held. @throws Fault LEASE_NOT_FOUND */
export function requireLease(machine: Machine, nowMs: number): Lease {
  const held = heldLease(machine, nowMs);
  if (held) return held;
  const message = `machine ${machine.id} has no lease`;
  throw new Fault("NOT_FOUND", "LEASE_NOT_FOUND", message, { machine_id: machine.id });
}

function reused(id: string, requestId: string): Fault {
  const message = `request_id ${requestId} stands for a lease with another description; use a new one for each lease`;
  return new Fault("INVALID_ARGUMENT", "REQUEST_ID_REUSED", message, {
    machine_id: id,
    request_id: requestId,
  });
}

/** Compares in constant time, which reveals nothing about the nonce. */
function isSame(nonce: string, given: string): boolean {
  const [a, b] = [Buffer.from(nonce), Buffer.from(given)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function leaseHeld(id: string, { owner, expireAtMs }: Lease): Fault {
  const expires = new Date(expireAtMs).toISOString();
  const message = `machine ID ${id} lease currently held by ${owner}, expires at ${expires}`;
  return new Fault("ABORTED", "LEASE_HELD", message, { machine_id: id, owner, expire_time: expires });
}
