import { Fault, hasReason } from "../../lib/runtime/fault.ts";
import type { HostEntry } from "../hosts/host-table.ts";
import type { Caller, Scope } from "../requests/scope.ts";
import type { HostStatus, Machine, MachineState } from "./machine.ts";
import { hostNumberOf, type MachineId } from "./machine-id.ts";

/** What a host answers to a start. */
export interface Started {
  readonly machine: Machine;
  readonly previousState: MachineState;
  readonly alreadyStarted: boolean;
  readonly startPath: string;
}

/** What a host answers to a stop. */
export interface Stopped {
  readonly machine: Machine;
  readonly alreadyStopped: boolean;
}

/** One line that a machine wrote. */
export interface LogLine {
  readonly timeMs: number | undefined;
  readonly stream: string;
  readonly text: string;
  readonly sequence: bigint;
}

/** Which lines of a machine are wanted. */
export interface LogQuery {
  readonly follow: boolean;
  readonly tail?: number;
  readonly afterSequence: bigint;
}

/** A machine on its host, and the organisation that asks for it. */
export interface Target {
  readonly machineId: string;
  /** Empty: any. */
  readonly org: string;
}

/** The machines of hosts, one call to one host each. A host that does not answer is UNAVAILABLE / `HOST_UNREACHABLE`. */
export interface HostMachines {
  get(host: HostEntry, target: Target, scope: Scope): Promise<Machine>;
  start(host: HostEntry, target: Target & { readonly watchMs?: number }, scope: Scope): Promise<Started>;
  stop(host: HostEntry, target: Target & StopOverrides, scope: Scope): Promise<Stopped>;
  destroy(
    host: HostEntry,
    target: Target & { readonly force: boolean },
    scope: Scope,
  ): Promise<Machine | undefined>;
  wait(host: HostEntry, target: Target & WaitFor, scope: Scope): Promise<Machine>;
  logs(host: HostEntry, target: Target & LogQuery, scope: Scope): AsyncIterable<readonly LogLine[]>;
}

/** How to stop a machine this once; what is absent is as configured. */
export interface StopOverrides {
  readonly signal: string;
  readonly timeoutMs?: number;
}

/** What to wait for, and how long. */
export interface WaitFor {
  readonly states: readonly MachineState[];
  readonly timeoutMs: number;
}

/** The hosts by number. */
export interface HostDirectory {
  /** From memory. */
  get(number: number): HostEntry | undefined;
  /** A host that is not in memory: from wherever else it may be known, within half a second. */
  find(number: number): Promise<HostEntry | undefined>;
}

/** The central record, as far as it stands in for a host. */
export interface MachineRecord {
  /** The machine, if this organisation has one of that id. */
  find(id: MachineId, org: string): Promise<Machine | undefined>;
}

/** A machine, and whether its host said so. */
export interface Seen {
  readonly machine: Machine;
  readonly hostStatus: HostStatus;
}

/**
 * What is done with a machine once it exists: its id says which host owns it, and that host is asked. Nothing here touches the
 * database, except to answer in place of a host that cannot, for machines that are gone, and to find a host that is not known here.
 */
export class Machines {
  readonly #directory: HostDirectory;
  readonly #hosts: HostMachines;
  readonly #record: MachineRecord;

  constructor(directory: HostDirectory, hosts: HostMachines, record: MachineRecord) {
    this.#directory = directory;
    this.#hosts = hosts;
    this.#record = record;
  }

  /** Starts a machine. @throws Fault of the host, `HOST_UNKNOWN`, `HOST_UNREACHABLE` */
  async start(id: MachineId, watchMs: number | undefined, caller: Caller): Promise<Started> {
    const target = { machineId: id, org: caller.org, ...(watchMs === undefined ? {} : { watchMs }) };
    return this.#hosts.start(await this.#hostOf(id), target, caller);
  }

  /** Stops a machine. @throws Fault of the host, `HOST_UNKNOWN`, `HOST_UNREACHABLE` */
  async stop(id: MachineId, overrides: StopOverrides, caller: Caller): Promise<Stopped> {
    return this.#hosts.stop(await this.#hostOf(id), { machineId: id, org: caller.org, ...overrides }, caller);
  }

  /** Waits for a state. @throws Fault of the host, `HOST_UNKNOWN`, `HOST_UNREACHABLE` */
  async wait(id: MachineId, wanted: WaitFor, caller: Caller): Promise<Machine> {
    return this.#hosts.wait(await this.#hostOf(id), { machineId: id, org: caller.org, ...wanted }, caller);
  }

  /** What a machine wrote. @throws Fault of the host, `HOST_UNKNOWN`, `HOST_UNREACHABLE` */
  async *logs(id: MachineId, query: LogQuery, caller: Caller): AsyncIterable<readonly LogLine[]> {
    yield* this.#hosts.logs(await this.#hostOf(id), { machineId: id, org: caller.org, ...query }, caller);
  }

  /** Destroys a machine on its host; the record follows by the host's event. One that is destroyed already is fine. */
  async destroy(id: MachineId, force: boolean, caller: Caller): Promise<Machine> {
    try {
      const host = await this.#hostOf(id);
      const machine = await this.#hosts.destroy(host, { machineId: id, org: caller.org, force }, caller);
      if (machine) return machine;
    } catch (err) {
      if (!hasReason(err, "MACHINE_NOT_FOUND") && !hasReason(err, "HOST_UNKNOWN")) throw err;
      const gone = await this.#recordedAsGone(id, caller.org);
      if (gone) return gone;
      throw err;
    }
    throw notFound(id);
  }

  /** A machine as its host sees it, or the record when the host cannot be asked. */
  async get(id: MachineId, caller: Caller): Promise<Seen> {
    try {
      const machine = await this.#hosts.get(
        await this.#hostOf(id),
        { machineId: id, org: caller.org },
        caller,
      );
      return { machine, hostStatus: "ok" };
    } catch (err) {
      return this.#withoutHost(id, caller.org, err);
    }
  }

  async #withoutHost(id: MachineId, org: string, err: unknown): Promise<Seen> {
    if (hasReason(err, "MACHINE_NOT_FOUND")) {
      // The host forgets what is gone sooner than the record does.
      const machine = await this.#recordedAsGone(id, org);
      if (machine) return { machine, hostStatus: "ok" };
      throw err;
    }
    if (!hasReason(err, "HOST_UNREACHABLE") && !hasReason(err, "HOST_UNKNOWN")) throw err;
    const machine = await this.#find(id, org, err);
    if (machine) return { machine, hostStatus: "unreachable" };
    throw notFound(id);
  }

  /** The record's view when the host has none. @throws Fault HOST_UNREACHABLE when there is no record to be had either */
  async #find(id: MachineId, org: string, hostErr: Fault): Promise<Machine | undefined> {
    try {
      return await this.#record.find(id, org);
    } catch {
      if (hostErr.reason === "HOST_UNREACHABLE") throw hostErr;
      throw unreachable(id, hostErr);
    }
  }

  async #recordedAsGone(id: MachineId, org: string): Promise<Machine | undefined> {
    try {
      const machine = await this.#record.find(id, org);
      return machine?.state === "destroyed" ? machine : undefined;
    } catch {
      // The host has spoken; without the record its word stands.
      return undefined;
    }
  }

  async #hostOf(id: MachineId): Promise<HostEntry> {
    const number = hostNumberOf(id);
    const host = this.#directory.get(number) ?? (await this.#directory.find(number));
    if (!host) {
      throw new Fault(
        "NOT_FOUND",
        "HOST_UNKNOWN",
        `machine ${id} would be on host ${number}, and no host with that number has announced itself here`,
        { machine_id: id, host_number: String(number) },
      );
    }
    return host;
  }
}

/** The fault for a machine that does not exist, or is somebody else's. */
export function notFound(id: string): Fault {
  return new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", `there is no machine ${id}`, { machine_id: id });
}

function unreachable(id: MachineId, cause: Fault): Fault {
  return new Fault(
    "UNAVAILABLE",
    "HOST_UNREACHABLE",
    `neither the host of machine ${id} nor the record could be asked; try again`,
    { machine_id: id },
    { cause },
  );
}
