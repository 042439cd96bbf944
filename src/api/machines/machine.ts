/** The states of a machine by the names of `windhover.machines.v1.MachineState`, in that enum's order. */
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

/** Where a machine is in its life; `unknown` is a state that a newer host knows and this program does not. */
export type MachineState = (typeof MACHINE_STATES)[number] | "unknown";

/** Whether the host of a machine can be reached: `unknown` when it was not asked. */
export type HostStatus = "ok" | "unreachable" | "unknown";

/** Size of a VM. */
export interface Guest {
  readonly cpuKind: "shared" | "performance";
  readonly cpus: number;
  readonly memoryMb: number;
}

/** Overrides of what the image says to run; empty means not overridden. */
export interface Init {
  readonly exec: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly user: string;
  readonly workingDir: string;
}

/** A port of the guest that is to be reachable. */
export interface Service {
  readonly protocol: "tcp" | "udp";
  readonly internalPort: number;
}

/** What a machine runs and how large it is: valid, defaults filled in. Made by `validateConfig`. */
export interface MachineConfig {
  readonly image: string;
  readonly guest: Guest;
  readonly env: Readonly<Record<string, string>>;
  readonly init?: Init;
  readonly services: readonly Service[];
  /** An empty signal leaves the choice to the image's StopSignal. */
  readonly stop: { readonly signal: string; readonly timeoutMs: number };
  readonly metadata: Readonly<Record<string, string>>;
}

/** An image, resolved to the digest of its linux/amd64 manifest. */
export interface ImageRef {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

/** Where a service of a started machine can be reached. */
export interface ServiceAddress {
  readonly protocol: string;
  readonly internalPort: number;
  readonly address: string;
}

/** How the main process of a machine ended. */
export interface Exit {
  /** Absent when unknown. */
  readonly exitCode?: number;
  readonly signal: string;
  readonly oomKilled: boolean;
  readonly requestedStop: boolean;
  /** Milliseconds since the epoch, by the host's clock. */
  readonly exitTimeMs?: number;
}

/** Something that happened to a machine. */
export interface MachineEvent {
  /** A ULID: sorts by time. */
  readonly id: string;
  readonly type: string;
  readonly status: MachineState;
  readonly source: string;
  /** Milliseconds since the epoch, by the host's clock. */
  readonly timeMs: number;
  readonly message: string;
  readonly exit?: Exit;
  readonly reason: string;
}

/** A machine as its host, or the central record, sees it. Plain data: the record stores it as JSON. */
export interface Machine {
  readonly id: string;
  readonly name: string;
  readonly state: MachineState;
  /** Decimal: it grows without bound, and JSON has no such number. */
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
}

/** Whether `a` is a later view of the same machine than `b`. */
export function isNewer(a: Machine, b: Machine): boolean {
  return BigInt(a.generation) > BigInt(b.generation);
}
