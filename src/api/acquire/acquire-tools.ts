import type { CreateRequest } from "../creates/store/create-state.ts";
import type { MachineId } from "../machines/ids/machine-id.ts";
import type { HostStatus, Machine } from "../machines/machine.ts";
import type { Caller } from "../requests/caller.ts";

/** Selects the machines that a step may start. */
export interface CandidateQuery {
  readonly org: string;
  readonly app: string;
  /** In order of preference; empty: any. */
  readonly regions: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly limit: number;
}

/** A machine that a step may start. */
export interface Candidate {
  readonly id: MachineId;
  readonly memoryMb: number;
}

/** The operations on machines that an acquire needs. */
export interface AcquireTools {
  /** @param nonce empty: no lease is held */
  start(
    id: MachineId,
    nonce: string,
    caller: Caller,
  ): Promise<{ readonly machine: Machine; readonly alreadyStarted: boolean }>;
  stop(id: MachineId, caller: Caller): Promise<void>;
  /** @throws Fault, e.g. INVALID_STATE, DISK_FULL: it is not suspended */
  suspend(id: MachineId, caller: Caller): Promise<void>;
  /** Succeeds when there is no such machine. */
  destroy(id: MachineId, caller: Caller): Promise<void>;
  /** Returns undefined when there is no such machine, or it is destroyed. */
  get(id: MachineId, caller: Caller): Promise<Machine | undefined>;
  /** Acquires a lease and returns its nonce. @throws Fault LEASE_HELD */
  lease(id: MachineId, ttlMs: number, caller: Caller): Promise<string>;
  releaseLease(id: MachineId, nonce: string, caller: Caller): Promise<void>;
  /** Creates and starts a machine. A repeat with the same id returns the same one. */
  create(request: CreateRequest, requestId: string, caller: Caller): Promise<Machine>;
  /** Returns how a create ended: with a machine or without. Undefined while it is under way. */
  created(org: string, requestId: string): Promise<{ readonly machineId: string | undefined } | undefined>;
  /** Returns machines that do not run, by the order of regions, and in random order within a region. */
  candidates(query: CandidateQuery): Promise<readonly Candidate[]>;
  /** Returns whether a host can be reached, without calling it. */
  statusOf(hostNumber: number): HostStatus;
  /** Charges a create to the organisation's rate. @throws Fault RATE_LIMITED */
  chargeCreate(org: string): void;
}
