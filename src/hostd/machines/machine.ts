import { Fault, invalid } from "../../lib/faults/fault.ts";
import type { MachineState } from "./states.ts";

/** 14 lower-case hex digits; the first five are the host number. Made only by {@link machineId}. */
export type MachineId = string & { readonly __machineId: never };

export interface Resources {
  readonly cpus: number;
  readonly memoryMb: number;
  readonly diskMb: number;
}

/** Configuration of a machine as the api sent it, with defaults filled in. Returned unchanged. */
export interface MachineConfig {
  readonly image: string;
  readonly guest: { readonly cpuKind: string; readonly cpus: number; readonly memoryMb: number };
  readonly env: Readonly<Record<string, string>>;
  readonly init: InitConfig;
  readonly services: readonly ServiceConfig[];
  readonly stop: { readonly signal: string; readonly timeoutMs?: number };
  readonly metadata: Readonly<Record<string, string>>;
}

/** Overrides of the image's command. Empty fields override nothing. */
export interface InitConfig {
  readonly exec: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly user: string;
  readonly workingDir: string;
}

/** A port of the guest that a port of the host is forwarded to. */
export interface ServiceConfig {
  readonly protocol: "tcp" | "udp";
  readonly internalPort: number;
}

export interface ImageRef {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

/** The part of an OCI image configuration that a start uses. */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** Each `NAME=value`. */
  readonly env: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly stopSignal: string;
  /** Directories that must exist. Absent in machines that were prepared before there was this field. */
  readonly volumes?: readonly string[];
}

/** An image on this host's disk, pinned for a machine. */
export interface LocalImage {
  readonly rootfs: string;
  readonly config: ImageConfig;
  /** Size of the root file system. Absent in machines that were prepared before there was this field. */
  readonly sizeBytes?: number;
}

/** What never changes about a machine after prepare. */
export interface MachineSpec {
  readonly name: string;
  readonly app: string;
  readonly org: string;
  readonly region: string;
  readonly config: MachineConfig;
  readonly imageRef: ImageRef;
  readonly createTraceId: string;
  readonly createdAtMs: number;
  readonly resources: Resources;
  readonly image?: LocalImage;
}

export interface ExitInfo {
  /** 128 + signal after a signal; absent when the VM ended without an exit event. */
  readonly exitCode?: number;
  /** Name, e.g. `SIGKILL`; empty when the process exited by itself. */
  readonly signal: string;
  readonly oomKilled: boolean;
  readonly requestedStop: boolean;
  readonly exitedAtMs: number;
}

export interface MachineEvent {
  readonly id: string;
  readonly type: "launch" | "start" | "exit" | "stop" | "failure" | "destroy";
  readonly status: MachineState;
  readonly source: "user" | "hostd";
  readonly timeMs: number;
  readonly message: string;
  /** Stable reason of a failure, or of an exit without exit event. */
  readonly reason: string;
  readonly exit?: ExitInfo;
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
  /** End (wall clock) of the allocation of CPU and memory for the first start. */
  readonly launchUntilMs?: number;
  /** The stop under way; a restarted hostd resumes it. */
  readonly stop?: PendingStop;
}

export interface PendingStop {
  readonly signal: number;
  readonly killAtMs: number;
}

/** A machine's next value and its event, stored in one transaction. */
export interface Change {
  readonly machine: Machine;
  /** Absent when only fields changed. */
  readonly event?: MachineEvent;
}

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

/** Makes the fault for a machine that is not here or belongs to another organisation: callers cannot tell which. */
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
