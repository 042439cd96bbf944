import type { Fault } from "../../lib/faults/fault.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import type { DiskView } from "../availability/host-disk.ts";
import type { SchedulingState } from "../availability/scheduling.ts";
import type { Ledger } from "../capacity/ledger.ts";
import type { StartQueue } from "../operations/start-queue.ts";
import type { Teardowns } from "../operations/teardowns.ts";
import type { Vmm, VmSink } from "../vmm/vmm.ts";
import type { Ids } from "./ids.ts";
import type { Change, ImageRef, LocalImage, Machine, ServiceConfig } from "./machine.ts";

/** All that the machines of a host share. Made once, in `main.ts`. */
export interface Host {
  readonly number: number;
  readonly store: MachineStore;
  readonly vmm: Vmm;
  readonly ledger: Ledger;
  readonly starts: StartQueue;
  readonly scheduling: SchedulingState;
  readonly disk: DiskView;
  readonly teardowns: Teardowns;
  readonly images: Images;
  readonly logs: Logs;
  readonly ports: Ports;
  readonly spans: Spans;
  readonly meter: Meter;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly limits: Limits;
  /** Aborts when hostd closes: retries end, running VMs go on. */
  readonly closing: AbortSignal;
}

/** How long things may take, in milliseconds. */
export interface Limits {
  /** From the slot in the start queue to the process exec'ed. */
  readonly launchMs: number;
  /** Between a stop's signal and SIGKILL when neither request nor configuration says. */
  readonly graceMs: number;
  /** Between SIGKILL and destroying the VM under it. */
  readonly killMs: number;
  /** How long CPU and memory are kept for the first start after a create. */
  readonly keepForLaunchMs: number;
  /** After this a machine whose create never went on is removed. */
  readonly abandonedCreateMs: number;
}

/** The durable state of the host's machines. */
export interface MachineStore {
  get(id: string): Machine | undefined;
  all(): Iterable<Machine>;
  /**
   * Stores what is about to be done. Visible to readers once it is durable; when it cannot be stored nothing has changed.
   *
   * @throws Fault DISK_FULL, STORE_OVERLOADED
   */
  intend(change: Change): Promise<void>;
  /**
   * Stores what has happened and cannot be refused. Visible at once; tried again until it is durable, and resolves then. It must be
   * something a restarted hostd finds out again by itself: from the VM, which is kept until then.
   */
  note(change: Change): Promise<void>;
  /** Writes notes now that would otherwise wait for others to be written with. Called by whoever waits for one to be durable. */
  flush(): void;
  /** Why notes cannot be written at the moment, if so. Whoever waits for one to be durable need not. */
  readonly trouble: Fault | undefined;
  /** Calls `listener` with every new value of a machine; the answer ends that. */
  subscribe(id: string, listener: (machine: Machine) => void): () => void;
}

/** A step of making an image local. */
export type PullStep =
  | {
      readonly kind: "progress";
      readonly detail: string;
      readonly bytesDone: bigint;
      readonly bytesTotal: bigint;
    }
  | { readonly kind: "ready"; readonly image: LocalImage; readonly wasLocal: boolean };

/** A pin: the machine needs the image. */
export interface Pin {
  readonly digest: string;
  readonly owner: string;
}

/** The images of the host. Asked when machines are made and removed, never on a start. */
export interface Images {
  /** Makes an image local and pins it for the owner; ends with `ready`. Throws the cache's faults, IMAGECACHE_UNAVAILABLE. */
  ensure(ref: ImageRef, owner: string, signal: AbortSignal): AsyncIterable<PullStep>;
  unpin(pin: Pin): Promise<void>;
  pin(pin: Pin): Promise<void>;
  /** Makes the pins exactly these. */
  reconcilePins(pins: readonly Pin[]): Promise<void>;
}

/** What the machines wrote. */
export interface Logs {
  /** Where a machine's VM sends its lines. */
  sink(id: string): VmSink;
  /** Drops all that a machine wrote. */
  remove(id: string): Promise<void>;
  /** Machines of which there are logs. */
  owners(): Promise<readonly string[]>;
}

/** The host's ports for services. */
export interface Ports {
  /** Takes a free port for each service. Throws Fault NO_FREE_PORT. */
  allocate(services: readonly ServiceConfig[]): Promise<readonly number[]>;
  /** The same ports, save those that somebody outside has taken meanwhile, which are replaced. */
  confirm(services: readonly ServiceConfig[], ports: readonly number[]): Promise<readonly number[]>;
  /** Enters ports known from the durable state. */
  restore(ports: readonly number[]): void;
  release(ports: readonly number[]): void;
}

/** Value of a span's attribute. */
export type SpanValue = string | number | boolean;

/** Where the milliseconds went. */
export interface Spans {
  /** Runs `fn` in a span below the active one; `set` adds attributes. */
  span<T>(
    name: string,
    attributes: Readonly<Record<string, SpanValue>>,
    fn: (set: (name: string, value: SpanValue) => void) => Promise<T>,
  ): Promise<T>;
  /** Records a span that is over, below the active one. */
  record(phase: {
    readonly name: string;
    readonly startUs: number;
    readonly endUs: number;
    readonly attributes?: Readonly<Record<string, SpanValue>>;
  }): void;
  /** Id of the active trace, 32 hex digits; empty without one. */
  traceId(): string;
}

/** Measures what is done to machines. Each runs `work` at once and passes on what it comes to. */
export interface Meter {
  award<T>(work: () => Promise<T>): Promise<T>;
  start<T extends { readonly startPath: string }>(work: () => Promise<T>): Promise<T>;
  stop<T>(work: () => Promise<T>): Promise<T>;
}

/** Where a driver says what somebody might have to look at. */
export interface Log {
  info(message: string, facts?: Readonly<Record<string, unknown>>): void;
  warn(message: string, facts?: Readonly<Record<string, unknown>>): void;
  error(message: string, facts?: Readonly<Record<string, unknown>>): void;
}

/** The pins there shall be: each machine that is not gone needs its image. */
export function wantedPins(machines: Iterable<Machine>): readonly Pin[] {
  const pins: Pin[] = [];
  for (const { id, state, spec } of machines) {
    if (state !== "destroying" && state !== "destroyed")
      pins.push({ digest: spec.imageRef.digest, owner: id });
  }
  return pins;
}

/** Attribute names of the spans of this service's domain; `lib/tracing.ts` names the shared ones the same. */
export const spanAttribute = {
  machineId: "windhover.machine.id",
  startPath: "windhover.start.path",
  queueMs: "windhover.start.queue_ms",
  queueLength: "windhover.start.queue_length",
} as const;
