import { changed, type Does, rows } from "./postgres-run.ts";
import { put } from "./postgres-tables.ts";

/** How much further back than asked `host_changed_since` looks. */
const OVERLAP_MS = 10_000;

/** The statements of the store of hosts. */
export const statements: Readonly<Record<string, Does>> = {
  host_announce: (run, number: number, identity: string, entry: string) => {
    const row = run.tables.hosts.get(number);
    if (row && row.identity !== identity) return changed(0);
    const next = { identity, applied: row?.applied ?? 0n, entry: JSON.parse(entry), updatedMs: run.nowMs };
    put(run.tables.hosts, number, next, run.onUndo);
    return changed(1);
  },
  host_changed_since: ({ tables, nowMs }, since: Date | null) => {
    const from = since === null ? Number.NEGATIVE_INFINITY : since.getTime() - OVERLAP_MS;
    const now = new Date(nowMs);
    const found = [...tables.hosts.values()].filter((row) => row.updatedMs >= from);
    return rows(found.length > 0 ? found.map(({ entry }) => ({ entry, now })) : [{ entry: null, now }]);
  },
  host_insert: (run, number: number, identity: string) => {
    if (run.tables.hosts.has(number)) return changed(0);
    const row = { identity, entry: null, applied: 0n, updatedMs: run.nowMs };
    put(run.tables.hosts, number, row, run.onUndo);
    return changed(1);
  },
  host_lock: ({ tables }, number: number, ids: string[]) => {
    const row = tables.hosts.get(number);
    const lacks = ids.some((id) => {
      const machine = tables.byId(id);
      return machine && machine.snapshot === null && machine.state !== "destroyed";
    });
    return rows(row ? [{ identity: row.identity, applied_sequence: row.applied.toString(), lacks }] : []);
  },
  host_applied: (run, number: number, applied: string) => {
    const row = run.tables.hosts.get(number);
    if (!row) return changed(0);
    put(run.tables.hosts, number, { ...row, applied: BigInt(applied) }, run.onUndo);
    return changed(1);
  },
  host_owner: ({ tables }, number: number) => rows([{ name: tables.hosts.get(number)?.entry?.name ?? null }]),
};
