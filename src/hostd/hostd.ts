import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Clock } from "../lib/runtime/clock.ts";
import type { Logger } from "../lib/runtime/log.ts";
import { type DiskView, UNKNOWN_DISK } from "./availability/host-disk.ts";
import type { SchedulingState } from "./availability/scheduling.ts";
import { Ledger } from "./capacity/ledger.ts";
import { HostPorts, type PortRange } from "./capacity/ports.ts";
import { LogStore } from "./logs/log-store.ts";
import type { Host, Images, Limits, MachineStore } from "./machines/host.ts";
import { Ids } from "./machines/ids.ts";
import type { Resources } from "./machines/machine.ts";
import { Machines } from "./operations/machines.ts";
import { StartQueue } from "./operations/start-queue.ts";
import { Teardowns } from "./operations/teardowns.ts";
import { meter } from "./telemetry/metrics.ts";
import { spans } from "./telemetry/spans.ts";
import type { Vmm } from "./vmm/vmm.ts";

/** What a host is assembled from. */
export interface HostSettings {
  readonly number: number;
  readonly dir: string;
  readonly capacity: Resources;
  readonly portRange: PortRange;
  readonly logKb: number;
  readonly holdGraceMs: number;
  readonly startConcurrency: number;
  readonly startTimeoutMs: number;
}

/** What comes from outside. */
export interface HostParts {
  readonly store: MachineStore & { readonly incarnation: number };
  readonly vmm: Vmm;
  readonly images: Images;
  readonly scheduling: SchedulingState;
  /** Default: nothing is known of it. */
  readonly disk?: DiskView;
  readonly clock: Clock;
  readonly log: Logger;
  readonly closing: AbortSignal;
  /** For tests. */
  readonly limits?: Partial<Limits>;
}

/** Starts that may wait for a slot. */
const MAX_WAITING_STARTS = 256;

const LIMITS: Omit<Limits, "launchMs"> = {
  graceMs: 5_000,
  killMs: 2_000,
  keepForLaunchMs: 15 * 60_000,
  abandonedCreateMs: 60 * 60_000,
};

/** A host: what its machines share, and the machines. */
export interface AssembledHost {
  readonly host: Host;
  readonly machines: Machines;
  readonly logs: LogStore;
}

/** Puts a host together. It does nothing by itself yet: see `reconcileAtStart`. */
export function assembleHost(settings: HostSettings, parts: HostParts): AssembledHost {
  const { store, vmm, images, scheduling, disk = UNKNOWN_DISK, clock, log, closing } = parts;
  const { incarnation } = store;
  const logs = new LogStore(join(settings.dir, "logs"), settings.logKb);
  const host: Host = {
    number: settings.number,
    ...{ store, vmm, images, scheduling, disk, clock, log, closing, logs, spans, meter },
    ledger: new Ledger({ capacity: settings.capacity, incarnation, graceMs: settings.holdGraceMs, clock }),
    starts: new StartQueue({
      concurrency: settings.startConcurrency,
      maxBoots: vmm.maxBoots,
      bound: MAX_WAITING_STARTS,
    }),
    teardowns: new Teardowns(),
    ports: new HostPorts(settings.portRange),
    ids: new Ids(randomBytes),
    limits: { ...LIMITS, launchMs: settings.startTimeoutMs, ...parts.limits },
  };
  return { host, machines: new Machines(host), logs };
}
