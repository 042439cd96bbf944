import type { LifeSettings, ServiceSettings } from "../../lib/service-config/service-config.ts";

/** The states of a machine, named as in `windhover.machines.v1.MachineState`. */
export const MACHINE_STATES = [
  "creating",
  "created",
  "starting",
  "started",
  "stopping",
  "stopped",
  "failed",
  "destroying",
  "destroyed",
  "suspending",
  "suspended",
  "restarting",
  "updating",
  "replacing",
  "replaced",
  "launch_failed",
  "migrated",
] as const;

/** The state of a machine. `unknown`: a state that only newer programs know. */
export type MachineState = (typeof MACHINE_STATES)[number] | "unknown";

/** What a wait is for: a state, or that a machine that is started is ready. */
export type AwaitedState = MachineState | "ready";

/** The states that a machine leaves only by a call, or when its process ends. */
export const SETTLED_STATES: ReadonlySet<MachineState> = new Set([
  "created",
  "started",
  "stopped",
  "suspended",
  "failed",
  "destroyed",
]);

/** The states with a VM, or soon with one. */
export const RUNNING_STATES: ReadonlySet<MachineState> = new Set([
  "starting",
  "started",
  "restarting",
  "stopping",
  "suspending",
  "updating",
]);

/** Whether the host of a machine can be reached. `unknown`: it was not asked. */
export type HostStatus = "ok" | "unreachable" | "unknown";

export interface Guest {
  readonly cpuKind: "shared" | "performance";
  readonly cpus: number;
  readonly memoryMb: number;
}

/** Overrides of the image's program; an empty field overrides nothing. */
export interface Init {
  readonly exec: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  /** Absent: no terminal. */
  readonly tty?: boolean;
}

/** A port of the guest that is published, and what proxies do with it. */
export interface Service extends ServiceSettings {
  readonly protocol: "tcp" | "udp";
  readonly internalPort: number;
}

/** When a machine whose process ended by itself is started again. */
export interface Restart {
  readonly policy: "no" | "on-failure" | "always";
  /** 0: the host's default. */
  readonly maxRetries: number;
}

/** A file that is written into the guest before each start. */
export interface GuestFile {
  readonly guestPath: string;
  /** Base64. */
  readonly content: string;
  /** 0: the host's default. */
  readonly mode: number;
}

/** The resolver of the guest. Empty fields are as on the host. */
export interface Dns {
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
  readonly hostname: string;
}

/** A valid configuration with its defaults filled in; see `validateConfig`. */
export interface MachineConfig extends LifeSettings {
  readonly image: string;
  readonly guest: Guest;
  readonly env: Readonly<Record<string, string>>;
  readonly init?: Init;
  readonly services: readonly Service[];
  /** Empty signal: the image's StopSignal. */
  readonly stop: { readonly signal: string; readonly timeoutMs: number };
  readonly metadata: Readonly<Record<string, string>>;
  /** Absent: never. */
  readonly restart?: Restart;
  readonly autoDestroy?: boolean;
  readonly schedule?: "hourly" | "daily" | "weekly" | "monthly";
  readonly files?: readonly GuestFile[];
  readonly dns?: Dns;
  /** Plain JSON that a client keeps here. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** An image resolved to the digest of its linux/amd64 manifest. */
export interface ImageRef {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

export interface ServiceAddress {
  readonly protocol: string;
  readonly internalPort: number;
  readonly address: string;
}

export interface Exit {
  readonly exitCode?: number;
  readonly signal: string;
  readonly oomKilled: boolean;
  readonly requestedStop: boolean;
  /** By the host's clock. */
  readonly exitTimeMs?: number;
  /** Whether the machine is started again. Absent: no. */
  readonly restarting?: boolean;
}

/** A lease on a machine, as others see it: without its nonce. */
export interface Lease {
  readonly owner: string;
  readonly description: string;
  /** By the host's clock. */
  readonly expireTimeMs: number;
  /** Version of the machine when it was acquired. */
  readonly instanceId: string;
}

/** The last result of a check. */
export interface CheckStatus {
  readonly name: string;
  /** `passing`, `warning` or `critical`. */
  readonly status: string;
  readonly output: string;
  readonly updateTimeMs: number;
  /** Whether proxies send the machine no requests while it is critical. */
  readonly readiness: boolean;
}

export interface MachineEvent {
  /** A ULID: sorts by time. */
  readonly id: string;
  readonly type: string;
  readonly status: MachineState;
  readonly source: string;
  /** By the host's clock. */
  readonly timeMs: number;
  readonly message: string;
  readonly exit?: Exit;
  readonly reason: string;
  /** Absent: 0. */
  readonly restartCount?: number;
  /** Version of the configuration. Absent: stored before there were versions. */
  readonly instanceId?: string;
}

/** A machine as its host described it. Plain data, stored as JSON. */
export interface Machine {
  readonly id: string;
  readonly name: string;
  readonly state: MachineState;
  /** Decimal, as JSON has no 64-bit integers. */
  readonly generation: string;
  readonly app: string;
  readonly org: string;
  readonly region: string;
  readonly host: string;
  readonly config: MachineConfig;
  readonly imageRef?: ImageRef;
  readonly createTimeMs: number;
  readonly updateTimeMs: number;
  /** Newest first. */
  readonly events: readonly MachineEvent[];
  readonly serviceAddresses: readonly ServiceAddress[];
  readonly lastStartPath: string;
  readonly lastStartTraceId: string;
  readonly createTraceId: string;
  /** Size of the root file system of its image. Absent: stored before there was this field. */
  readonly imageBytes?: number;
  /**
   * Version of its configuration, a ULID. Absent: stored before there were versions; so with the
   * following.
   */
  readonly instanceId?: string;
  /** Null: none. */
  readonly lease?: Lease | null;
  readonly cordoned?: boolean;
  readonly restartCount?: number;
  /** When its host will start it. Null: no start is due. */
  readonly nextStartTimeMs?: number | null;
  /** Whether proxies may send it requests. Absent: stored before there were checks; so with the following. */
  readonly ready?: boolean;
  readonly checks?: readonly CheckStatus[];
  /** Until when its program has said that it is busy. Null: it has not. */
  readonly busyUntilTimeMs?: number | null;
  /** When it is stopped because of `max_lifetime`. Null: never. */
  readonly lifetimeEndTimeMs?: number | null;
}

/** The part of a machine that changes without a new configuration. Its JSON replaces every member. */
export type MachineStatus = Pick<
  Machine,
  | "id"
  | "state"
  | "generation"
  | "updateTimeMs"
  | "serviceAddresses"
  | "lastStartPath"
  | "lastStartTraceId"
  | "imageBytes"
  | "instanceId"
  | "lease"
  | "cordoned"
  | "restartCount"
  | "nextStartTimeMs"
  | "ready"
  | "checks"
  | "busyUntilTimeMs"
  | "lifetimeEndTimeMs"
>;

/** A machine as a report of its host has it: whole, or only its status. */
export type ReportedMachine =
  | { readonly kind: "whole"; readonly machine: Machine }
  | { readonly kind: "status"; readonly machine: MachineStatus };

/** Whether a machine is in one of several states. */
export function isInState(
  { state, ready = false }: Pick<Machine, "state" | "ready">,
  states: readonly AwaitedState[],
): boolean {
  return states.includes(state) || (ready && state === "started" && states.includes("ready"));
}

/** Whether `a` describes a later generation of a machine than `b`. */
export function isNewer(a: Pick<Machine, "generation">, b: Pick<Machine, "generation">): boolean {
  return BigInt(a.generation) > BigInt(b.generation);
}
