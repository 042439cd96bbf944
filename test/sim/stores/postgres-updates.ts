import { countUsed, isThere } from "./postgres-machines.ts";
import { changed, type Does, rows } from "./postgres-run.ts";
import { put } from "./postgres-tables.ts";

/** As src/api/updates/update-store.ts has it. */
const RESERVED_MS = 35 * 60_000;

/** The statements of the store of updates. */
export const statements: Readonly<Record<string, Does>> = {
  update_lock_org: ({ tables }, slug: string) => {
    const org = tables.orgs.get(slug);
    if (!org) return rows([]);
    const { standing, ...quota } = org;
    return rows([{ slug, standing, quota }]);
  },
  update_count_used: countUsed,
  update_find_machine: ({ tables, nowMs }, machineId: string, org: string, digest: string) => {
    const row = tables.byId(machineId);
    if (row?.org !== org || !isThere(row)) return rows([]);
    const reserved = tables.memoryReservations.get(machineId);
    const reservedMb = reserved && reserved.expireMs > nowMs ? reserved.memoryMb : 0;
    const hasImage = [...tables.machines.values()].some(
      (other) =>
        other.org === org &&
        other.hostNumber === row.hostNumber &&
        other.snapshot?.imageRef?.digest === digest &&
        isThere(other),
    );
    return rows([{ memoryMb: row.memoryMb, reservedMb: Math.max(row.memoryMb, reservedMb), hasImage }]);
  },
  update_reserve: (run, machineId: string, org: string, owner: string, memoryMb: number) => {
    const { memoryReservations } = run.tables;
    for (const [id, row] of memoryReservations) {
      if (row.org === org && row.expireMs < run.nowMs && id !== machineId)
        put(memoryReservations, id, undefined, run.onUndo);
    }
    const before = memoryReservations.get(machineId);
    const isLive = before !== undefined && before.expireMs > run.nowMs;
    const reservedMb = isLive ? Math.max(before.memoryMb, memoryMb) : memoryMb;
    const row = { machineId, org, owner, memoryMb: reservedMb, expireMs: run.nowMs + RESERVED_MS };
    put(memoryReservations, machineId, row, run.onUndo);
    return changed(1);
  },
  update_end: (run, machineId: string, owner: string) => {
    const { memoryReservations } = run.tables;
    if (memoryReservations.get(machineId)?.owner !== owner) return changed(0);
    put(memoryReservations, machineId, undefined, run.onUndo);
    return changed(1);
  },
};
