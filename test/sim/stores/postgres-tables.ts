import type { StoredAcquire } from "../../../src/api/acquire/acquire-store.ts";
import type { StepProgress } from "../../../src/api/creates/store/progress.ts";
import type { StoredSaga } from "../../../src/api/creates/store/stored-saga.ts";
import type { HostEntry } from "../../../src/api/hosts/host-table.ts";
import type {
  Machine,
  MachineConfig,
  MachineEvent,
  MachineState,
} from "../../../src/api/machines/machine.ts";
import type { Amount } from "../../../src/api/orgs/organization.ts";

/** A row of `machines`. */
export interface MachineRow {
  readonly createId: string;
  readonly id: string | null;
  readonly org: string;
  readonly app: string;
  readonly name: string;
  readonly memoryMb: number;
  readonly hostNumber: number | null;
  readonly state: MachineState;
  readonly generation: bigint;
  readonly isCommitted: boolean;
  readonly snapshot: Machine | null;
}

/** A row of `sagas`. */
export interface SagaTableRow extends StoredSaga {
  readonly request_hash: Buffer;
  readonly owner: string | null;
  readonly leaseMs: number;
  readonly resolveMs: number | null;
  readonly updateMs: number;
}

/** A row of `hosts`. */
export interface HostRow {
  readonly identity: string;
  readonly entry: HostEntry | null;
  readonly applied: bigint;
  readonly updatedMs: number;
}

/** A row of `machine_versions`. */
export interface VersionRow {
  readonly machineId: string;
  readonly instanceId: string;
  readonly config: MachineConfig;
  readonly createTimeMs: number;
}

/** A row of `memory_reservations`. */
export interface MemoryReservationRow {
  readonly machineId: string;
  readonly org: string;
  readonly owner: string;
  readonly memoryMb: number;
  readonly expireMs: number;
}

/** A row of `acquires`. */
export interface AcquireRow extends Omit<StoredAcquire, "isOther" | "isOwned"> {
  readonly requestHash: Buffer;
  readonly leaseMs: number;
}

/** The tables. Rows never change: a change puts another in their place, so that it can be taken back. */
export class Tables {
  readonly orgs = new Map<string, Amount & { readonly standing: string }>();
  readonly apps = new Map<string, string>();
  readonly machines = new Map<string, MachineRow>();
  /** By the machine's id and the event's. */
  readonly events = new Map<string, { readonly machineId: string; readonly event: MachineEvent }>();
  /** By the machine's id and the version's. */
  readonly versions = new Map<string, VersionRow>();
  /** By the machine's id. */
  readonly memoryReservations = new Map<string, MemoryReservationRow>();
  readonly acquires = new Map<string, AcquireRow>();
  readonly hosts = new Map<number, HostRow>();
  readonly sagas = new Map<string, SagaTableRow>();
  readonly steps = new Map<string, StepProgress & { readonly sagaId: string }>();
  readonly leases = new Map<string, { readonly owner: string; readonly untilMs: number }>();

  /** The row of a machine by its id. */
  byId(id: string): MachineRow | undefined {
    for (const row of this.machines.values()) if (row.id === id) return row;
    return undefined;
  }
}

/** Takes back one change. */
export type OnUndo = (undo: () => void) => void;

/** Puts a row, or removes it with undefined. */
export function put<K, V>(table: Map<K, V>, key: K, row: V | undefined, onUndo: OnUndo): void {
  const before = table.get(key);
  if (row === undefined) table.delete(key);
  else table.set(key, row);
  onUndo(() => {
    if (before === undefined) table.delete(key);
    else table.set(key, before);
  });
}
