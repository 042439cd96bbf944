import { Fault, hasReason } from "../../lib/faults/fault.ts";
import type { Caller, CallLimits } from "../requests/caller.ts";
import { machineNotFound, unreachableState } from "./faults.ts";
import { Absence, whileAway } from "./host/absence.ts";
import { atHost, findHost, type HostLookup } from "./host/find-host.ts";
import type { HostAddress } from "./host/host-address.ts";
import type { MachineId } from "./ids/machine-id.ts";
import { type AwaitedState, type HostStatus, isInState, type Machine, type MachineState } from "./machine.ts";
import type { RecordMachine } from "./record-machine.ts";

/** Part of the caller's time that GetMachine waits for the host. */
const HOST_SHARE = 0.7;

export interface Target {
  readonly machineId: string;
  /** Empty: any. */
  readonly org: string;
}

/** The part of hostd that serves users' machines. */
export interface HostMachines {
  getMachine(host: HostAddress, target: Target, limits: CallLimits): Promise<Machine>;
  /** Returns those that the host has, without configuration, with the newest event only. */
  getMachines(
    host: HostAddress,
    ids: readonly string[],
    limits: CallLimits,
  ): Promise<readonly Omit<Machine, "config">[]>;
  startMachine(host: HostAddress, target: Target & StartOptions, limits: CallLimits): Promise<Started>;
  stopMachine(host: HostAddress, target: Target & StopOptions, limits: CallLimits): Promise<Stopped>;
  destroyMachine(
    host: HostAddress,
    target: Target & DestroyOptions,
    limits: CallLimits,
  ): Promise<Machine | undefined>;
  /**
   * Returns the machine as it was in the state, without its configuration. Goes on while the host
   * restarts.
   */
  waitMachine(
    host: HostAddress,
    target: Target & WaitOptions,
    limits: CallLimits,
  ): Promise<Omit<Machine, "config">>;
  streamLogs(host: HostAddress, target: Target & LogOptions, limits: CallLimits): AsyncIterable<LogBatch>;
}

export interface StartOptions {
  /** How long the new process is watched. Undefined: the host's default. */
  readonly watchMs: number | undefined;
  /** Nonce of the machine's lease. Absent: none. */
  readonly leaseNonce?: string;
}

/** Lets a call change a machine with a lease. */
export interface LeaseOptions {
  /** Nonce of the lease. Absent: none. */
  readonly leaseNonce?: string;
  /** Ignore the lease: only operators and the api itself do. */
  readonly ignoreLease?: boolean;
}

export interface Started {
  readonly machine: Machine;
  readonly previousState: MachineState;
  readonly alreadyStarted: boolean;
  readonly startPath: string;
}

export interface StopOptions extends LeaseOptions {
  /** Empty: as configured, as is an absent timeout. */
  readonly signal: string;
  readonly timeoutMs?: number;
}

export interface Stopped {
  readonly machine: Machine;
  readonly alreadyStopped: boolean;
}

export interface DestroyOptions extends LeaseOptions {
  /** Also when the machine runs. */
  readonly force: boolean;
  /** Succeed, without a machine, when the host has none. */
  readonly ignoreMissing?: boolean;
}

export interface WaitOptions {
  /** `replaced`: another version has taken the place of `instanceId`. */
  readonly states: readonly AwaitedState[];
  readonly timeoutMs: number;
  /** Version that is waited for. Empty: any. */
  readonly instanceId: string;
  /** Event after which the machine must come into a state. Empty: it may be in it already. */
  readonly afterEventId: string;
  /** Whether to wait too when the states need another call. */
  readonly acrossCalls: boolean;
}

/** A machine that was waited for. */
export interface Waited {
  readonly machine: Machine;
  /** The newest event when it came into the state. */
  readonly eventId: string;
}

export interface LogOptions {
  readonly follow: boolean;
  readonly tail?: number | undefined;
  readonly afterSequence: bigint;
}

export interface LogLine {
  readonly timeMs: number | undefined;
  readonly stream: string;
  readonly text: string;
  readonly sequence: bigint;
}

export interface LogBatch {
  /** The first batch may have none. */
  readonly lines: readonly LogLine[];
  /** Sequence of the last line that was read. */
  readonly position: bigint;
}

/** A machine, and whether its host was reached. */
export interface MachineView {
  readonly machine: Machine;
  readonly hostStatus: HostStatus;
}

/**
 * Operations on existing machines. A machine's id names its host, which is called directly. The
 * database is read only when the host is unreachable, unknown, or no longer has the machine.
 */
export class Machines {
  readonly #where: HostLookup;
  readonly #hosts: HostMachines;
  readonly #record: RecordMachine;

  constructor(where: HostLookup, hosts: HostMachines, record: RecordMachine = async () => {}) {
    this.#where = where;
    this.#hosts = hosts;
    this.#record = record;
  }

  /** Starts a machine. @throws Fault of the host, `HOST_UNKNOWN`, `HOST_UNREACHABLE`; so do the others */
  start(id: MachineId, options: StartOptions, caller: Caller): Promise<Started> {
    const { org } = caller;
    return atHost(this.#where, id, org, "start", (host) =>
      this.#hosts.startMachine(host, { machineId: id, org, ...options }, caller),
    );
  }

  stop(id: MachineId, options: StopOptions, caller: Caller): Promise<Stopped> {
    const { org } = caller;
    return atHost(this.#where, id, org, "stop", (host) =>
      this.#hosts.stopMachine(host, { machineId: id, org, ...options }, caller),
    );
  }

  /**
   * Waits for a state, also while the host restarts.
   *
   * @throws also Fault `STATE_UNREACHABLE`, `REPLACED`, `WAIT_TIMEOUT`
   */
  async wait(id: MachineId, options: WaitOptions, caller: Caller): Promise<Waited> {
    const { directory, store } = this.#where;
    const target = { machineId: id, org: caller.org };
    try {
      const host = await findHost(directory, id);
      const then = await this.#hosts.waitMachine(host, { ...target, ...options }, caller);
      const read = async () => this.#hosts.getMachine(await findHost(directory, id), target, caller);
      const now = await whileAway(read, caller.signal);
      // It may have changed since: its configuration is of now, everything else of the time of the state.
      const isSame = isInState(now, options.states) && now.instanceId === then.instanceId;
      const machine = isSame ? now : { ...now, ...then };
      return { machine, eventId: then.events[0]?.id ?? "" };
    } catch (err) {
      if (!hasReason(err, "MACHINE_NOT_FOUND")) throw err;
      // Hosts forget destroyed machines sooner than the database does.
      const machine = await store.find(id, caller.org).catch(() => undefined);
      if (machine?.state !== "destroyed") throw err;
      if (!options.states.includes("destroyed")) throw unreachableState(id, "destroyed", options.states);
      return { machine, eventId: machine.events[0]?.id ?? "" };
    }
  }

  /** Reads the log, also while the host restarts: no line is lost, and none comes twice. */
  async *logs(id: MachineId, options: LogOptions, caller: Caller): AsyncIterable<LogBatch> {
    const target = { machineId: id, org: caller.org };
    let from = options;
    let away = new Absence();
    for (;;) {
      try {
        const host = await findHost(this.#where.directory, id);
        for await (const batch of this.#hosts.streamLogs(host, { ...target, ...from }, caller)) {
          away = new Absence(true);
          from = { follow: options.follow, afterSequence: batch.position };
          yield batch;
        }
        return;
      } catch (err) {
        if (!(await away.pause(err, caller.signal))) throw err;
      }
    }
  }

  /**
   * Destroys a machine; succeeds when it is destroyed already. Its name is free when this returns,
   * if the database answers.
   */
  async destroy(id: MachineId, options: DestroyOptions, caller: Caller): Promise<Machine> {
    try {
      const host = await findHost(this.#where.directory, id);
      const target = { machineId: id, org: caller.org, ...options };
      const machine = await this.#hosts.destroyMachine(host, target, caller);
      if (machine) {
        await this.#record(machine);
        return machine;
      }
    } catch (err) {
      if (!hasReason(err, "MACHINE_NOT_FOUND") && !hasReason(err, "HOST_UNKNOWN")) throw err;
      const destroyed = await this.#findDestroyed(id, caller.org);
      if (destroyed) return destroyed;
      throw err;
    }
    throw machineNotFound(id);
  }

  /** Reads a machine from its host, or from the database when the host cannot be reached. */
  async get(id: MachineId, caller: Omit<Caller, "subject">): Promise<MachineView> {
    try {
      const host = await findHost(this.#where.directory, id);
      const machine = await this.#hosts.getMachine(
        host,
        { machineId: id, org: caller.org },
        withTimeForDatabase(caller),
      );
      return { machine, hostStatus: "ok" };
    } catch (err) {
      return this.#getWithoutHost(id, caller.org, err);
    }
  }

  async #getWithoutHost(id: MachineId, org: string, err: unknown): Promise<MachineView> {
    if (hasReason(err, "MACHINE_NOT_FOUND")) {
      // Hosts forget destroyed machines sooner than the database does.
      const machine = await this.#findDestroyed(id, org);
      if (machine) return { machine, hostStatus: "ok" };
      throw err;
    }
    if (!hasReason(err, "HOST_UNREACHABLE") && !hasReason(err, "HOST_UNKNOWN")) throw err;
    const machine = await this.#where.store.find(id, org).catch(() => {
      throw err.reason === "HOST_UNREACHABLE" ? err : unreachable(id, err);
    });
    if (machine) return { machine, hostStatus: "unreachable" };
    throw machineNotFound(id);
  }

  async #findDestroyed(id: MachineId, org: string): Promise<Machine | undefined> {
    // Without the database the host's answer stands.
    const machine = await this.#where.store.find(id, org).catch(() => undefined);
    return machine?.state === "destroyed" ? machine : undefined;
  }
}

function unreachable(id: MachineId, cause: Fault): Fault {
  const message = `neither the host of machine ${id} nor the database can be reached; try again`;
  return new Fault("UNAVAILABLE", "HOST_UNREACHABLE", message, { machine_id: id }, { cause });
}

/** Shortens the limit of a call so that the database can be read when the host does not answer. */
function withTimeForDatabase({ remainingMs, ...caller }: Omit<Caller, "subject">): CallLimits {
  return remainingMs === undefined ? caller : { ...caller, remainingMs: remainingMs * HOST_SHARE };
}
