import type { Credentials } from "../../lib/oci/auth/credentials.ts";
import type { HostLeases, NewLease } from "../leases/leases.ts";
import type { HostChanges } from "../machines/changes/changes.ts";
import type { HostUpdates } from "../machines/changes/update.ts";
import type { HostAddress } from "../machines/host/host-address.ts";
import type { ImageRef, Machine, MachineConfig } from "../machines/machine.ts";
import type { HostMachines } from "../machines/machines.ts";
import type { CallLimits } from "../requests/caller.ts";
import type { AnnouncedHost, Scheduling } from "./host-table.ts";

/** hostd on any host. A host that does not answer is UNAVAILABLE / `HOST_UNREACHABLE`. */
export interface Hostd extends HostMachines, HostChanges, HostLeases, HostUpdates {
  /** Turns a hold into an allocation with a machine. May be repeated. */
  createMachine(host: HostAddress, award: Award, limits: CallLimits): Promise<Machine>;
  /** Makes a machine's image local. May be repeated. */
  prepareMachine(
    host: HostAddress,
    order: PrepareOrder,
    report: (progress: PrepareProgress) => void,
    limits: CallLimits,
  ): Promise<Machine>;
  /** Lists a host's machines, page by page. */
  listMachines(host: HostAddress, limits: CallLimits): Promise<readonly HostedMachine[]>;
  /** Sets whether the host takes machines; returns the previous value. */
  setScheduling(host: HostAddress, scheduling: Scheduling, limits: CallLimits): Promise<Scheduling>;
  /** Reads the announcement of a host. */
  getHost(host: HostAddress, limits: CallLimits): Promise<HostReport>;
}

/** A machine in its host's list. */
export type HostedMachine = Omit<Machine, "config" | "events">;

export interface Award {
  readonly machineId: string;
  readonly name: string;
  readonly app: string;
  readonly org: string;
  readonly region: string;
  readonly config: MachineConfig;
  readonly image: ImageRef;
  readonly createTraceId: string;
  readonly reservationId: string;
  /** Decimal. */
  readonly epoch: string;
  /** Whether the host keeps CPU and memory for a start that follows at once. */
  readonly keepForLaunch: boolean;
  readonly cordoned: boolean;
  /** Lease that the machine begins with. Undefined: none. */
  readonly lease: NewLease | undefined;
}

export interface PrepareOrder {
  readonly machineId: string;
  /** To pull the image with. Undefined: none. */
  readonly credentials: Credentials | undefined;
}

export interface PrepareProgress {
  readonly detail: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

export interface HostReport {
  readonly announced: AnnouncedHost;
  /** Whether every change in its outbox has been acknowledged by an api. */
  readonly isDelivered: boolean;
}
