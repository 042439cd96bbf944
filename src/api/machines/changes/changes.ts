import type { Caller, CallLimits } from "../../requests/caller.ts";
import { atHost, type HostLookup } from "../host/find-host.ts";
import type { HostAddress } from "../host/host-address.ts";
import type { MachineId } from "../ids/machine-id.ts";
import type { Machine } from "../machine.ts";
import type { StopOptions, Target } from "../machines.ts";
import type { RecordMachine } from "../record-machine.ts";

/** The part of hostd that changes machines in place. */
export interface HostChanges {
  restartMachine(host: HostAddress, target: Target & RestartOptions, limits: CallLimits): Promise<Machine>;
  suspendMachine(host: HostAddress, target: Target & SuspendOptions, limits: CallLimits): Promise<Machine>;
  signalMachine(host: HostAddress, target: Target & SignalOptions, limits: CallLimits): Promise<Machine>;
  setMachineCordon(host: HostAddress, target: Target & CordonOptions, limits: CallLimits): Promise<Machine>;
  updateMetadata(host: HostAddress, target: Target & MetadataChange, limits: CallLimits): Promise<Machine>;
}

/** The lease that a change of a machine may need. */
export interface Leased {
  /** Nonce of the lease; empty: none. */
  readonly leaseNonce: string;
}

export interface SuspendOptions extends Leased {
  /** Whoever holds the lease. */
  readonly ignoreLease?: boolean;
}

/** Checks the lease of a machine for calls that its host does not check. */
export interface LeaseGuard {
  /** @throws Fault `LEASE_HELD` */
  guard(id: MachineId, nonce: string, caller: Caller): Promise<void>;
}

export interface RestartOptions extends StopOptions {
  /** Kill the process instead of signalling it. */
  readonly forceStop: boolean;
}

export interface SignalOptions extends Leased {
  readonly signal: string;
}

export interface CordonOptions extends Leased {
  readonly cordoned: boolean;
}

export interface MetadataChange {
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
  /** Whether every key that is not set is removed. */
  readonly replace: boolean;
  /** `instance_id` that the machine must have. Empty: any. */
  readonly currentVersion: string;
}

/**
 * Changes machines at their hosts. No change waits for the database: hosts report what has changed.
 */
export class MachineChanges {
  readonly #where: HostLookup;
  readonly #hosts: HostChanges;
  readonly #record: RecordMachine;

  constructor(where: HostLookup, hosts: HostChanges, record: RecordMachine) {
    this.#where = where;
    this.#hosts = hosts;
    this.#record = record;
  }

  /** @throws Fault of the host, `HOST_UNKNOWN`, `HOST_UNREACHABLE`, `INVALID_STATE`; so do the others */
  restart(id: MachineId, options: RestartOptions, caller: Caller): Promise<Machine> {
    return this.#at(id, caller, "restart", (host, target) =>
      this.#hosts.restartMachine(host, { ...target, ...options }, caller),
    );
  }

  /** @throws also Fault `NOT_BUILT_YET` of a host that cannot suspend machines */
  suspend(id: MachineId, options: SuspendOptions, caller: Caller): Promise<Machine> {
    return this.#at(id, caller, "suspend", (host, target) =>
      this.#hosts.suspendMachine(host, { ...target, ...options }, caller),
    );
  }

  signal(id: MachineId, options: SignalOptions, caller: Caller): Promise<Machine> {
    return this.#at(id, caller, "signal", (host, target) =>
      this.#hosts.signalMachine(host, { ...target, ...options }, caller),
    );
  }

  setCordon(id: MachineId, options: CordonOptions, caller: Caller): Promise<Machine> {
    return this.#at(id, caller, options.cordoned ? "cordon" : "uncordon", (host, target) =>
      this.#hosts.setMachineCordon(host, { ...target, ...options }, caller),
    );
  }

  /** Changes metadata, and stores the machine at once for lists by metadata. */
  async updateMetadata(id: MachineId, change: MetadataChange, caller: Caller): Promise<Machine> {
    const machine = await this.#at(id, caller, "update", (host, target) =>
      this.#hosts.updateMetadata(host, { ...target, ...change }, caller),
    );
    await this.#record(machine);
    return machine;
  }

  #at<T>(
    id: MachineId,
    { org }: Caller,
    verb: string,
    act: (host: HostAddress, target: Target) => Promise<T>,
  ): Promise<T> {
    return atHost(this.#where, id, org, verb, (host) => act(host, { machineId: id, org }));
  }
}
