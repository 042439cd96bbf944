import type { Caller, CallLimits } from "../../requests/caller.ts";
import { atHost, type Whereabouts } from "../host/find-host.ts";
import type { HostAddress } from "../host/host-address.ts";
import type { Machine } from "../machine.ts";
import type { MachineId } from "../machine-id.ts";
import type { StopOptions, Target } from "../machines.ts";
import type { RecordMachine } from "../record-machine.ts";

/** The part of hostd that changes machines in place. */
export interface HostChanges {
  restartMachine(host: HostAddress, target: Target & RestartOptions, limits: CallLimits): Promise<Machine>;
  signalMachine(host: HostAddress, target: Target & SignalOptions, limits: CallLimits): Promise<Machine>;
  setMachineCordon(host: HostAddress, target: Target & CordonOptions, limits: CallLimits): Promise<Machine>;
  updateMetadata(host: HostAddress, target: Target & MetadataChange, limits: CallLimits): Promise<Machine>;
}

/** What a change of a machine with a lease must show. */
export interface Leased {
  /** Nonce of the lease; empty: none. */
  readonly leaseNonce: string;
}

/** Lets a caller go on whose call no host guards, unless somebody else holds the lease. */
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
 * Changes of machines that only their hosts need to know of. None needs the database, which follows
 * with the hosts' reports.
 */
export class MachineChanges {
  readonly #where: Whereabouts;
  readonly #hosts: HostChanges;
  readonly #record: RecordMachine;

  constructor(where: Whereabouts, hosts: HostChanges, record: RecordMachine) {
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

  /** Lists by metadata follow at once, if the database answers. */
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
