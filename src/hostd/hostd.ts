import { join } from "node:path";
import type { Clock } from "../lib/runtime/clock.ts";
import type { DiskWatch } from "./availability/disk-watch.ts";
import type { Scheduling } from "./availability/scheduling.ts";
import type { BidParts } from "./capacity/bid.ts";
import { Ledger } from "./capacity/ledger.ts";
import { type PortRange, Ports } from "./capacity/ports.ts";
import { Checks } from "./checks/checks.ts";
import type { StatusParts } from "./convert-host.ts";
import { LogStore } from "./logs/log-store.ts";
import { Ids } from "./machines/ids.ts";
import type { Resources } from "./machines/version.ts";
import { StartQueue } from "./operations/launch/start-queue.ts";
import type { InsideApi } from "./operations/machine-sink.ts";
import { Machines, type MachinesParts } from "./operations/machines.ts";
import type { ReconcileParts } from "./operations/reconcile.ts";
import { Teardowns } from "./operations/teardowns.ts";
import { UnderWay } from "./operations/under-way.ts";
import { Proxies } from "./proxies/proxies.ts";
import type { Vmm } from "./vmm/vmm.ts";

/** The parts that the machines of a host share. Each user names those that it needs. */
export type Host = MachinesParts &
  ReconcileParts &
  BidParts &
  StatusParts & {
    readonly ledger: Ledger;
    readonly teardowns: Teardowns;
    readonly starts: StartQueue;
    readonly checks: Checks;
  };

export interface HostSettings {
  readonly number: number;
  /** For spans. */
  readonly name?: string;
  readonly dir: string;
  readonly capacity: Resources;
  readonly portRange: PortRange;
  readonly logKb: number;
  readonly orgLogKb: number;
  readonly holdGraceMs: number;
  readonly startConcurrency: number;
  readonly startTimeoutMs: number;
}

/** The parts of a host that are opened elsewhere. */
export interface GivenParts {
  readonly store: Host["store"] & { readonly incarnation: number };
  readonly vmm: Vmm;
  readonly images: Host["images"];
  readonly scheduling: { readonly current: Scheduling };
  readonly disk: Pick<DiskWatch, "space">;
  readonly delivery: Host["delivery"];
  readonly isBanned: Host["isBanned"];
  /** Serves the programs of machines. Absent: nobody does. */
  readonly inside?: InsideApi & { open(machines: Machines): void };
  readonly clock: Clock;
  readonly closing: AbortSignal;
  /** Called when a thread that hostd cannot do without has ended. */
  readonly onDeath: (err: Error) => void;
  readonly limits?: Partial<Host["limits"] & { readonly lostUseMs: number }>;
}

const MAX_WAITING_STARTS = 256;

export const DEFAULT_LIMITS = {
  graceMs: 5_000,
  killMs: 2_000,
  keepForLaunchMs: 15 * 60_000,
  abandonedCreateMs: 60 * 60_000,
  tombstoneMs: 60 * 60_000,
  takeOverMs: 10_000,
  /** More than a proxy needs to attach anew, and the least that the contract allows is 10 s. */
  lostUseMs: 30_000,
};

export interface AssembledHost {
  readonly host: Host;
  readonly machines: Machines;
  readonly logs: LogStore;
}

/** Assembles a host. Call `reconcileAtStart` before it serves. */
export function assembleHost(settings: HostSettings, given: GivenParts): AssembledHost {
  const { number, capacity, holdGraceMs: graceMs, startConcurrency: concurrency } = settings;
  const { incarnation } = given.store;
  const { maxBoots } = given.vmm;
  const logs = new LogStore({
    dir: join(settings.dir, "logs"),
    limits: { machineKb: settings.logKb, orgKb: settings.orgLogKb },
    owners: [...given.store.all()].map(({ id, spec: { org } }) => ({ id, org })),
    onDeath: given.onDeath,
  });
  const limits = { ...DEFAULT_LIMITS, launchMs: settings.startTimeoutMs, ...given.limits };
  const proxies = new Proxies({ lostUseMs: limits.lostUseMs, clock: given.clock });
  const host: Host = {
    ...given,
    ...{ number, logs, hostName: settings.name ?? "" },
    ledger: new Ledger({ capacity, incarnation, graceMs, clock: given.clock }),
    starts: new StartQueue({ concurrency, maxBoots, maxWaiting: MAX_WAITING_STARTS }),
    ...{ stopsUnderWay: new UnderWay(), suspendsUnderWay: new UnderWay() },
    teardowns: new Teardowns(),
    ports: new Ports(settings.portRange),
    ids: Ids.following(given.store.all()),
    proxies,
    checks: new Checks({ clock: given.clock, proxies, closing: given.closing }),
    limits,
  };
  const machines = new Machines(host);
  given.inside?.open(machines);
  return { host, machines, logs };
}
