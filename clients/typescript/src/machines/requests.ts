import type { CallOptions } from "../calls/caller.ts";
import type { MachineConfig, Placement } from "../gen/windhover/machines/v1/machine.ts";
import type { Input } from "../values/input.ts";
import type { MachineState } from "../values/machine.ts";

/** A configuration as a caller writes it. That of a machine may be passed too. */
export type MachineConfigInput = Input<MachineConfig>;

/** Options of calls that a lease guards. */
export interface Guarded extends CallOptions {
  /** Nonce of the lease held on the machine. Needed while one is held. */
  readonly leaseNonce?: string | undefined;
}

/** Request of `machines.create`. */
export interface CreateMachine {
  readonly app: string;
  readonly config: MachineConfigInput;
  /** Absent: made by the server. */
  readonly name?: string;
  /** A region, several in order (`gru,ord`), or a group (`eu`, `any`). Absent: that of the api. */
  readonly region?: string;
  /** Leaves the machine `created`. */
  readonly skipLaunch?: boolean;
  /** Creates it cordoned: proxies send it no requests until `uncordon`. */
  readonly cordoned?: boolean;
  /** Makes a repeat return the same machine for 24 hours. Absent: a random one. */
  readonly requestId?: string;
  readonly placement?: Input<Placement>;
  /** Takes a lease on the new machine; `machine.lease` has its nonce. */
  readonly leaseTtlMs?: number;
}

/** Filters of `machines.list`. An absent one excludes nothing. */
export interface ListMachines extends CallOptions {
  readonly app?: string;
  /** Default: all but `destroyed`. */
  readonly states?: readonly MachineState[];
  readonly regions?: readonly string[];
  /** Entries of metadata that the machines must have. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly updatedAfter?: Date;
  /** Oldest first. Default `create_time`. */
  readonly orderBy?: "create_time" | "update_time";
  /** Returns environment, init, files and 20 events too, as `get` does. */
  readonly full?: boolean;
  /** Asks the hosts for states, for at most 250 ms. */
  readonly fresh?: boolean;
  /** Machines per call, 1 to 1000. */
  readonly pageSize?: number;
}

/** Options of `machines.start`. */
export interface StartOptions extends Guarded {
  /**
   * How long the process is watched, in milliseconds: the answer has the end of a program that ends
   * within it.
   */
  readonly watchMs?: number;
}

/** Options of `machines.stop`. */
export interface StopOptions extends Guarded {
  /** Overrides `config.stopConfig.signal`, e.g. `SIGTERM`. */
  readonly stopSignal?: string;
  /** Time between the signal and SIGKILL. Overrides `config.stopConfig.timeout`. */
  readonly graceMs?: number;
}

/** Options of `machines.restart`. */
export interface RestartOptions extends StopOptions {
  /** Kills the process instead of signalling it. */
  readonly force?: boolean;
}

/** Options of `machines.update`. */
export interface UpdateOptions extends Guarded {
  /** Makes the update safe to repeat, also by another process. Default: one of this call. */
  readonly requestId?: string;
  /** `instanceId` that the machine must have now. Absent: any. */
  readonly currentVersion?: string;
  /** Starts a machine that does not run. */
  readonly launch?: boolean;
  /** Leaves a machine that runs stopped with the new version. */
  readonly skipLaunch?: boolean;
  /** Goes back to the old version when the new one does not become ready. */
  readonly rollback?: boolean;
  readonly readyTimeoutMs?: number;
}

/** Options of `machines.destroy`. */
export interface DestroyOptions extends Guarded {
  /** Kills the process of a started machine. */
  readonly force?: boolean;
}

/** Options of `machines.wait`. `timeoutMs` may be longer than the 5 min that the api waits at once. */
export interface WaitOptions extends CallOptions {
  /** Default: `started`; none with `settled` or `ready`. */
  readonly states?: readonly MachineState[];
  /** Waits for this version only. */
  readonly instanceId?: string;
  /** Waits for a state after this event. */
  readonly afterEventId?: string;
  /** Waits until the machine rests. */
  readonly settled?: boolean;
  /** Waits until the machine is ready: it is started, and its checks pass. */
  readonly ready?: boolean;
}

/** Options of changes of metadata. */
export interface MetadataOptions extends CallOptions {
  /** `instanceId` that the machine must have now. Absent: any. */
  readonly currentVersion?: string;
}

/** Options of `machines.watch`; without machines and app, all of the organisation. */
export interface WatchOptions extends CallOptions {
  /** At most 100. */
  readonly machineIds?: readonly string[];
  readonly app?: string;
  /** `position` of an earlier change, to resume after it. */
  readonly after?: string;
}

/** Options of `machines.logs`. */
export interface LogOptions extends CallOptions {
  /** Continues as lines are written. */
  readonly follow?: boolean;
  /** Number of last lines. Absent: all that are kept. */
  readonly tail?: number;
  /** Sends lines after this sequence. */
  readonly after?: bigint;
  /** Leaves out lines from before this time. */
  readonly since?: Date;
}
