import type {
  Machine,
  MachineConfig,
  MachineEvent,
  MachineState,
} from "../../../src/api/machines/machine.ts";
import { changed, type Does, type Run, rows } from "./postgres-run.ts";
import { type MachineRow, put } from "./postgres-tables.ts";

/** The statements of the stores of machines and of creates, as far as they are about machines. */
export const statements: Readonly<Record<string, Does>> = {
  create_lock_org: ({ tables }, slug: string) => {
    const org = tables.orgs.get(slug);
    if (!org) return rows([]);
    const { standing, ...quota } = org;
    return rows([{ slug, standing, quota }]);
  },
  create_count_used: countUsed,
  create_lock_app: ({ tables }, app: string, org: string) => changed(tables.apps.get(app) === org ? 1 : 0),
  create_name_owner: ({ tables }, app: string, name: string) =>
    rows([...tables.machines.values()].filter((row) => row.app === app && row.name === name && isThere(row))),
  machine_apply: (
    run,
    ids: string[],
    states: MachineState[],
    generations: string[],
    snapshots: string[],
    areWhole: boolean[],
  ) => {
    for (const [i, id] of ids.entries()) {
      const row = run.tables.byId(id);
      const generation = BigInt(generations[i] ?? "0");
      if (!row || !isThere(row) || (row.generation >= generation && row.snapshot !== null)) continue;
      if (!areWhole[i] && row.snapshot === null) continue;
      const told = JSON.parse(snapshots[i] ?? "null") as Machine;
      const snapshot = areWhole[i] ? told : { ...row.snapshot, ...told };
      const memoryMb = (areWhole[i] && told.config.guest.memoryMb) || row.memoryMb;
      update(run, row, { state: states[i] ?? row.state, generation, snapshot, memoryMb });
    }
    return changed(ids.length);
  },
  machine_changes_add: (
    run,
    machineIds: string[],
    _generations: string[],
    _statuses: string[],
    ids: (string | null)[],
    events: (string | null)[],
  ) => {
    for (const [i, machineId] of machineIds.entries()) {
      const told = events[i];
      const key = `${machineId}/${ids[i]}`;
      if (!told || !run.tables.byId(machineId) || run.tables.events.has(key)) continue;
      const event = JSON.parse(told) as MachineEvent;
      put(run.tables.events, key, { machineId, event }, run.onUndo);
    }
    return changed(0);
  },
  // Nobody makes so many versions that old ones are removed.
  machine_versions_add: (
    run,
    machineIds: string[],
    instanceIds: string[],
    configs: string[],
    times: Date[],
  ) => {
    const { versions } = run.tables;
    for (const [i, machineId] of machineIds.entries()) {
      if (!run.tables.byId(machineId)) continue;
      const instanceId = instanceIds[i] ?? "";
      const config = JSON.parse(configs[i] ?? "null") as MachineConfig;
      const key = `${machineId}/${instanceId}`;
      const createTimeMs = versions.get(key)?.createTimeMs ?? times[i]?.getTime() ?? 0;
      put(versions, key, { machineId, instanceId, config, createTimeMs }, run.onUndo);
    }
    return changed(0);
  },
  history_versions: ({ tables }, machineId: string, before: string, limit: number) => {
    const found = [...tables.versions.values()]
      .filter((row) => row.machineId === machineId && (before === "" || row.instanceId < before))
      .sort((a, b) => (a.instanceId < b.instanceId ? 1 : -1));
    return rows(
      found
        .slice(0, limit)
        .map(({ instanceId, config, createTimeMs }) => ({ id: instanceId, config, createTimeMs })),
    );
  },
  machine_of_host: ({ tables }, number: number) =>
    rows([...tables.machines.values()].filter((row) => row.hostNumber === number && isThere(row)).map(known)),
  machine_with_ids: ({ tables }, ids: string[]) =>
    rows(ids.flatMap((id) => tables.byId(id) ?? []).map(known)),
  machine_find: ({ tables }, id: string, org: string) => {
    const row = tables.byId(id);
    if (!row?.snapshot || (org !== "" && row.org !== org)) return rows([]);
    const events = [...tables.events.values()]
      .filter((each) => each.machineId === id)
      .map(({ event }) => event);
    const newest = events.sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, 20);
    return rows([{ machine: { ...row.snapshot, events: newest } }]);
  },
  machine_mark_missing: (run, id: string, generation: string, timeMs: number) => {
    const row = run.tables.byId(id);
    if (!row || row.generation !== BigInt(generation) || !isThere(row)) return changed(0);
    const next = row.generation + 1n;
    const told = { generation: next.toString(), updateTimeMs: timeMs, serviceAddresses: [] };
    const snapshot = row.snapshot && { ...row.snapshot, ...told, state: "destroyed" as const };
    return update(run, row, { state: "destroyed", generation: next, snapshot });
  },
};

/** What an organisation uses, as `usedBy` in src/api/orgs/usage.ts. */
export function countUsed({ tables, nowMs }: Run, org: string) {
  const used = [...tables.machines.values()].filter((row) => row.org === org && isThere(row));
  const images = new Map<string, number>();
  let memoryMb = 0;
  for (const { id, hostNumber, snapshot, memoryMb: own } of used) {
    const reserved = tables.memoryReservations.get(id ?? "");
    memoryMb += reserved && reserved.expireMs > nowMs ? Math.max(own, reserved.memoryMb) : own;
    const key = `${hostNumber} ${snapshot?.imageRef?.digest}`;
    images.set(key, Math.max(images.get(key) ?? 0, snapshot?.imageBytes ?? 0));
  }
  const imageBytes = [...images.values()].reduce((sum, bytes) => sum + bytes, 0);
  return rows([{ machines: used.length, memoryMb, imageMb: Math.floor(imageBytes / 1_048_576) }]);
}

export function isThere(row: MachineRow): boolean {
  return row.state !== "destroyed";
}

function store(run: Run, row: MachineRow): void {
  put(run.tables.machines, row.createId, row, run.onUndo);
}

function update(run: Run, row: MachineRow | undefined, fields: Partial<MachineRow>) {
  if (row) store(run, { ...row, ...fields });
  return changed(row ? 1 : 0);
}

function dropEvents(run: Run, machineId: string | null): void {
  for (const [key, event] of run.tables.events) {
    if (event.machineId === machineId) put(run.tables.events, key, undefined, run.onUndo);
  }
}

/** Has what belongs to a machine follow its id, or go with it: as the tables' foreign keys do. */
function cascade(run: Run, from: string | null, to: string | undefined): void {
  const { versions, memoryReservations } = run.tables;
  if (from === null || from === to) return;
  for (const [key, row] of versions) {
    if (row.machineId !== from) continue;
    put(versions, key, undefined, run.onUndo);
    if (to) put(versions, `${to}/${row.instanceId}`, { ...row, machineId: to }, run.onUndo);
  }
  const reserved = memoryReservations.get(from);
  if (!reserved) return;
  put(memoryReservations, from, undefined, run.onUndo);
  if (to) put(memoryReservations, to, { ...reserved, machineId: to }, run.onUndo);
}

function known({ id, state, generation, isCommitted }: MachineRow) {
  return { id, state, generation: generation.toString(), isCommitted };
}

/** A machine under a name that is free; false when it is not. */
export function insertMachine(
  run: Run,
  machine: Pick<MachineRow, "createId" | "org" | "app" | "name" | "memoryMb">,
): boolean {
  for (const row of run.tables.machines.values()) {
    if (row.app === machine.app && row.name === machine.name && isThere(row)) return false;
  }
  const placed = { id: null, hostNumber: null, state: "creating", generation: 0n, snapshot: null } as const;
  store(run, { ...machine, isCommitted: false, ...placed });
  return true;
}

/** The part `intent_deleted` of saga_write. */
export function deleteIntent(run: Run, createId: string): void {
  const row = run.tables.machines.get(createId);
  if (!row) return;
  dropEvents(run, row.id);
  cascade(run, row.id, undefined);
  put(run.tables.machines, createId, undefined, run.onUndo);
}

/** The host that a machine is about to be on, as saga_write has it. */
export interface Placed {
  readonly id: string;
  readonly host_number: number;
}

/** The part `placed` of saga_write: how many rows it has changed. */
export function placeMachine(run: Run, createId: string, { id, host_number }: Placed): number {
  const row = run.tables.machines.get(createId);
  const other = run.tables.byId(id);
  if (row && other && other !== row) throw new Error(`there is a machine ${id} already`);
  dropEvents(run, row?.id ?? null);
  cascade(run, row?.id ?? null, id);
  return update(run, row, { id, hostNumber: host_number, generation: 0n, snapshot: null }).rowCount;
}

/** What a host said of a machine, as saga_write has it. */
export interface Said {
  readonly id: string;
  readonly generation: string;
  readonly state: MachineState;
  readonly snapshot: Machine;
  readonly isCommitted: boolean;
  readonly events: readonly { readonly id: string; readonly event: MachineEvent }[];
}

/** The part `described` of saga_write: how many rows it has changed. */
export function describeMachine(run: Run, createId: string, said: Said): number {
  const row = run.tables.machines.get(createId);
  if (row?.id !== said.id || row.state === "destroying" || row.state === "destroyed") return 0;
  const generation = BigInt(said.generation);
  const isNewer = row.generation < generation || row.snapshot === null;
  const told = isNewer ? { state: said.state, generation, snapshot: said.snapshot } : {};
  update(run, row, { ...told, isCommitted: row.isCommitted || said.isCommitted });
  for (const { id, event } of said.events) {
    const key = `${said.id}/${id}`;
    if (!run.tables.events.has(key)) put(run.tables.events, key, { machineId: said.id, event }, run.onUndo);
  }
  return 1;
}
