import { Fault, invalid } from "../../lib/faults/fault.ts";
import type { MachineState } from "./states.ts";
import type { MachineSpec } from "./version.ts";

/** 14 lower-case hex digits; the first five are the host number. Made only by {@link machineId}. */
export type MachineId = string & { readonly __machineId: never };

export interface ExitInfo {
  /** 128 + signal after a signal; absent when the VM ended without an exit event. */
  readonly exitCode?: number;
  /** Name, e.g. `SIGKILL`; empty when the process exited by itself. */
  readonly signal: string;
  readonly oomKilled: boolean;
  readonly requestedStop: boolean;
  readonly exitedAtMs: number;
  /** The machine is started again without another call. */
  readonly restarting?: boolean;
}

/** Who asked for what happened: a call, a proxy, the program of a machine, or nobody. */
export type EventSource = Caller | "hostd";

/** Who asked for a start or a stop. */
export type Caller = "user" | "proxy" | "machine";

export interface MachineEvent {
  readonly id: string;
  readonly type:
    | ("launch" | "start" | "exit" | "stop" | "failure" | "destroy")
    | ("update" | "restart" | "suspend" | "cordon" | "uncordon" | "ready" | "check");
  readonly status: MachineState;
  readonly source: EventSource;
  readonly timeMs: number;
  readonly message: string;
  /** Stable reason of a failure, or of an exit that has one. */
  readonly reason: string;
  readonly exit?: ExitInfo;
  /** For an exit: restarts by the policy before it. */
  readonly restartCount?: number;
  /** Version that it is about. Absent in events of earlier versions of hostd. */
  readonly instanceId?: string;
}

/** A machine on its host. Immutable: every change makes a new value. */
export interface Machine {
  readonly id: MachineId;
  readonly spec: MachineSpec;
  readonly state: MachineState;
  readonly generation: number;
  readonly updatedAtMs: number;
  /** Newest first, at most {@link MAX_EVENTS}. */
  readonly events: readonly MachineEvent[];
  /** Host ports, in the order of the configuration's services. */
  readonly ports: readonly number[];
  /** Set while the machine has, or may have, a VM. */
  readonly vmId?: string;
  readonly lastStartPath: string;
  readonly lastStartTraceId: string;
  /** The span of that start. Absent when an earlier version of hostd has started it. */
  readonly lastStartSpanId?: string;
  /** End (wall clock) of the allocation of CPU and memory for the first start. */
  readonly launchUntilMs?: number;
  /** The stop under way; a restarted hostd resumes it. */
  readonly stop?: PendingStop;
  /** The last lease, which may have expired. */
  readonly lease?: Lease;
  readonly isCordoned?: boolean;
  /** Restarts by the policy since a call started the machine. */
  readonly restarts?: Restarts;
  /** When the policy starts it, in the state `restarting`. Absent there: at once. */
  readonly restartAtMs?: number;
  /** Why a start is under way that no call to start has asked for. */
  readonly startCause?: StartCause;
  /** Next start by the schedule of the configuration. */
  readonly scheduledAtMs?: number;
  /** The update under way; a restarted hostd goes on with it. */
  readonly update?: PendingUpdate;
  /** Who has asked for the start that is under way. Absent: a user, or nobody. */
  readonly startCaller?: Caller;
  /** What a suspend has saved. Set while the machine is `suspended`, and until it has gone on. */
  readonly saved?: SavedMachine;
  /** Saved VM from which this run was resumed. The VM reads memory that it has not written from there. */
  readonly resumed?: SavedMachine;
  /** The moment at which this version was ready, from which it is started. */
  readonly snapshot?: Snapshot;
  /** When the process of this run was started. */
  readonly runAtMs?: number;
  /** Whether the checks of this run pass. */
  readonly isReady?: boolean;
  /** Of this run, in the order of the configuration. */
  readonly checks?: readonly CheckStatus[];
  /** Of this run. */
  readonly busy?: Busy;
}

/** A program's word that it is busy. */
export interface Busy {
  /** When the row of such words has begun. */
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** The saved VM of a machine. */
export interface SavedMachine {
  /** Name of what is saved: the id of the VM. */
  readonly vmId: string;
  readonly bytes: number;
  /** The run that goes on. Absent: of a hostd that let it begin anew. */
  readonly run?: PausedRun;
}

/** A run that a suspend has paused: its times go on where they were. */
export interface PausedRun extends Pick<Machine, "isReady" | "checks" | "busy"> {
  readonly runAtMs: number;
  readonly pausedAtMs: number;
}

/** A machine that was saved when it was ready, for starts of the same version. */
export interface Snapshot {
  /** Version that it is of. */
  readonly instanceId: string;
  /** Of the saved VM. Empty: there is none, as starts from it have failed. */
  readonly name: string;
  readonly bytes: number;
  readonly usedAtMs: number;
  /** Starts from snapshots of this version that have failed, one after the other. */
  readonly failures?: number;
}

/** Last result of a check. */
export interface CheckStatus {
  readonly name: string;
  readonly status: "passing" | "warning" | "critical";
  /** At most 512 bytes. */
  readonly output: string;
  readonly updatedAtMs: number;
  /** Whether the machine is not ready while it fails. */
  readonly isReadiness: boolean;
}

/** `policy`: the process has ended. `restart`, `update`: a call that goes on. */
export type StartCause = "policy" | "schedule" | "restart" | "update";

/** Restarts by the policy. */
export interface Restarts {
  readonly count: number;
  /** Those that may count for the limit of retries, oldest first. */
  readonly timesMs: readonly number[];
}

/** An update from its intent until the new version runs, or is stored and stopped. */
export interface PendingUpdate {
  /** State before, to which a rollback returns. `started` for a machine that ran or was to be restarted. */
  readonly from: "created" | "stopped" | "failed" | "started";
  /** Whether the new version is started. */
  readonly launch: boolean;
  /**
   * Set when the old version returns if the new one does not become ready: how long its process
   * must run.
   */
  readonly rollbackWithinMs?: number;
  /** When the process of the new version has run for so long. Set when it runs. */
  readonly readyAtMs?: number;
  /** Host ports of the previous version. */
  readonly previousPorts: readonly number[];
  /** Why the new version is not ready; the rollback follows. */
  readonly failure?: { readonly reason: string; readonly message: string };
  /** The old version is on its way back. */
  readonly isRollback?: boolean;
}

/** The right of one client to change a machine until a time of the host's clock. */
export interface Lease {
  /** 32 hex digits. */
  readonly nonce: string;
  readonly owner: string;
  readonly description: string;
  readonly expireAtMs: number;
  /** Version of the machine when the lease was acquired. */
  readonly instanceId: string;
  /** Of the acquire, which its owner may repeat. Absent: none. */
  readonly requestId?: string;
}

export interface PendingStop {
  readonly signal: number;
  readonly killAtMs: number;
}

/** Who asked for a stop, and why. */
export interface StopReason {
  readonly source: EventSource;
  readonly message: string;
}

/** A machine's next value and its event, stored in one transaction. */
export interface Change {
  readonly machine: Machine;
  /** Absent when only fields changed. */
  readonly event?: MachineEvent;
}

const MB = 1024 * 1024;
/** Older events are in the database only. */
export const MAX_EVENTS = 20;

/** Parses a machine id. @throws Fault INVALID_FIELDS */
export function machineId(text: string, field = "machine_id"): MachineId {
  if (!/^[0-9a-f]{14}$/.test(text)) {
    throw invalid([{ field, description: `must be 14 lower-case hex digits, not "${text.slice(0, 40)}"` }]);
  }
  return text as MachineId;
}

/** Reads the number of the host that owns a machine. */
export function hostNumberOf(id: MachineId): number {
  return Number.parseInt(id.slice(0, 5), 16);
}

/** Returns the disk that the saved VMs of a machine take, in MB. */
export function savedMbOf({ saved, resumed, snapshot }: Pick<Machine, "saved" | "resumed" | "snapshot">) {
  const sizes = [saved, resumed, snapshot].map((each) => Math.ceil((each?.bytes ?? 0) / MB));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Returns a machine without the events before the newest ones. */
export function withNewestEvents(machine: Machine, count: number): Machine {
  return machine.events.length <= count ? machine : { ...machine, events: machine.events.slice(0, count) };
}

/**
 * Makes the fault for a machine that is not here or belongs to another organisation: callers cannot
 * tell which.
 */
export function notFound(id: string): Fault {
  return new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", `there is no machine ${id}`, { machine_id: id });
}

export function invalidState(machine: Machine, what: string): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "INVALID_STATE",
    `machine ${machine.id} is ${machine.state} and cannot be ${what}`,
    { machine_id: machine.id, state: machine.state },
  );
}
