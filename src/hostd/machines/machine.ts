import { Fault, invalid } from "../../lib/faults/fault.ts";
import type { MachineState } from "./states.ts";

/** Id of a machine: 14 lower-case hex digits, of which the first five are its host's number. Made only by {@link machineId}. */
export type MachineId = string & { readonly __machineId: never };

/** Amounts of a host's resources. */
export interface Resources {
  readonly cpus: number;
  readonly memoryMb: number;
  readonly diskMb: number;
}

/** What was asked for, defaults filled in by the api. Stored and given back as it is. */
export interface MachineConfig {
  readonly image: string;
  readonly guest: { readonly cpuKind: string; readonly cpus: number; readonly memoryMb: number };
  readonly env: Readonly<Record<string, string>>;
  readonly init: InitConfig;
  readonly services: readonly ServiceConfig[];
  readonly stop: { readonly signal: string; readonly timeoutMs?: number };
  readonly metadata: Readonly<Record<string, string>>;
}

/** Overrides of what the image says to run. Empty means: as the image says. */
export interface InitConfig {
  readonly exec: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly user: string;
  readonly workingDir: string;
}

/** A port of the guest that is to be reachable. */
export interface ServiceConfig {
  readonly protocol: "tcp" | "udp";
  readonly internalPort: number;
}

/** An image, resolved. */
export interface ImageRef {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

/** What the image's own configuration says about running it. */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** Each `NAME=value`. */
  readonly env: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly stopSignal: string;
}

/** An image made local and pinned for a machine, so that a start needs nobody else. */
export interface LocalImage {
  readonly rootfs: string;
  readonly config: ImageConfig;
}

/** What never changes about a machine once it has been prepared. */
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
  /** Set by prepare. */
  readonly image?: LocalImage;
}

/** How the main process ended. */
export interface ExitInfo {
  /** 128 + signal when a signal ended it; absent when the VM was lost. */
  readonly exitCode?: number;
  /** `SIGKILL` and the like; empty when it exited by itself. */
  readonly signal: string;
  readonly oomKilled: boolean;
  readonly requestedStop: boolean;
  readonly exitedAtMs: number;
}

/** Something that happened to a machine. */
export interface MachineEvent {
  /** A ULID. */
  readonly id: string;
  readonly type: "launch" | "start" | "exit" | "stop" | "failure" | "destroy";
  readonly status: MachineState;
  readonly source: "user" | "hostd";
  readonly timeMs: number;
  readonly message: string;
  /** Stable, for failures and for exits of lost VMs. */
  readonly reason: string;
  readonly exit?: ExitInfo;
}

/** A machine as its host knows it. Values of this type never change; a change makes a new one. */
export interface Machine {
  readonly id: MachineId;
  readonly spec: MachineSpec;
  readonly state: MachineState;
  /** Grows by one with every change. */
  readonly generation: number;
  readonly updatedAtMs: number;
  /** Newest first, at most {@link MAX_EVENTS}. */
  readonly events: readonly MachineEvent[];
  /** Host ports, one for each service of the configuration. */
  readonly ports: readonly number[];
  /** The VM that belongs to it while it is starting, started, stopping, or destroyed from there. */
  readonly vmId?: string;
  readonly lastStartPath: string;
  readonly lastStartTraceId: string;
  /** Until when (wall clock) CPU and memory stay allocated for its first start. */
  readonly launchUntilMs?: number;
  /** The stop under way, so that one interrupted by a restart of hostd goes on. */
  readonly stop?: PendingStop;
}

/** A stop that has been asked for. */
export interface PendingStop {
  readonly signal: number;
  /** When SIGKILL follows, on the wall clock. */
  readonly killAtMs: number;
}

/** A machine's next value, and what happened. Stored as one. */
export interface Change {
  readonly machine: Machine;
  /** Absent when only fields changed. */
  readonly event?: MachineEvent;
}

/** How many events a machine carries. Older ones live on in the central record. */
export const MAX_EVENTS = 20;

/** Parses a machine id; INVALID_FIELDS when it is none. */
export function machineId(text: string, field = "machine_id"): MachineId {
  if (!/^[0-9a-f]{14}$/.test(text)) {
    throw invalid([{ field, description: `must be 14 lower-case hex digits, not "${text.slice(0, 40)}"` }]);
  }
  // The only place where the brand is given.
  return text as MachineId;
}

/** The number of the host that owns the machine. */
export function hostNumberOf(id: MachineId): number {
  return Number.parseInt(id.slice(0, 5), 16);
}

/** The fault for a machine that is not here, or not for this caller: the two must look the same. */
export function notFound(id: string): Fault {
  return new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", `there is no machine ${id}`, { machine_id: id });
}

/** The fault for a call that the machine's state does not allow. */
export function invalidState(machine: Machine, what: string): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "INVALID_STATE",
    `machine ${machine.id} is ${machine.state} and cannot be ${what}`,
    { machine_id: machine.id, state: machine.state },
  );
}
