import type { CreateRequest } from "../creates/store/create-state.ts";
import type { HostStatus, Machine } from "../machines/machine.ts";
import type { MachineId } from "../machines/machine-id.ts";
import type { Caller } from "../requests/caller.ts";

/** Which machines may be started. */
export interface CandidateQuery {
  readonly org: string;
  readonly app: string;
  /** In order of preference; empty: any. */
  readonly regions: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly limit: number;
}

/** A machine that may be started. */
export interface Candidate {
  readonly id: MachineId;
  readonly memoryMb: number;
}

/** What an acquire does with machines. */
export interface AcquireTools {
  /** @param nonce empty: no lease is held */
  start(
    id: MachineId,
    nonce: string,
    caller: Caller,
  ): Promise<{ readonly machine: Machine; readonly alreadyStarted: boolean }>;
  stop(id: MachineId, caller: Caller): Promise<void>;
  /** Succeeds when there is no such machine. */
  destroy(id: MachineId, caller: Caller): Promise<void>;
  /** Returns undefined when there is no such machine, or it is destroyed. */
  get(id: MachineId, caller: Caller): Promise<Machine | undefined>;
  /** Returns the nonce. @throws Fault LEASE_HELD */
  lease(id: MachineId, ttlMs: number, caller: Caller): Promise<string>;
  releaseLease(id: MachineId, nonce: string, caller: Caller): Promise<void>;
  /** Creates and starts a machine. A repeat with the same id returns the same one. */
  create(request: CreateRequest, requestId: string, caller: Caller): Promise<Machine>;
  /** Returns how a create ended: its machine, none, or undefined while it is under way. */
  created(org: string, requestId: string): Promise<{ readonly machineId: string | undefined } | undefined>;
  /** Returns machines that do not run, the preferred ones first, and otherwise in random order. */
  candidates(query: CandidateQuery): Promise<readonly Candidate[]>;
  /** Returns what is known of a host without calling it. */
  statusOf(hostNumber: number): HostStatus;
  /** Takes what a create costs. @throws Fault RATE_LIMITED */
  chargeCreate(org: string): void;
}
