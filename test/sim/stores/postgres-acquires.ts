import type { AcquireStatus, StoredAcquire } from "../../../src/api/acquire/acquire-store.ts";
import { changed, type Does, type Run, rows } from "./postgres-run.ts";
import { type AcquireRow, put } from "./postgres-tables.ts";

/** As src/api/acquire/acquire-store.ts has it. */
const LEASE_MS = 15_000;
const POSTPONE_MS = 2_000;

/** The statements of the store of acquires, but for its retention. */
export const statements: Readonly<Record<string, Does>> = {
  acquire_begin: (
    run,
    ...values: [
      ...[id: string, org: string, key: string | null, hash: Buffer, intents: string],
      ...[traceId: string, owner: string],
    ]
  ) => {
    const [id, org, key, requestHash, intents, traceId, owner] = values;
    if (key !== null && ofKey(run, org, key)) return changed(0);
    if (run.tables.acquires.has(id)) throw new Error(`there is an acquire ${id} already`);
    store(run, {
      ...{ id, org, key, requestHash, status: "running", machineId: null, step: null },
      ...{ intents: JSON.parse(intents), traceId, owner, leaseMs: run.nowMs + LEASE_MS },
    });
    return changed(1);
  },
  acquire_find: (run, org: string, key: string, hash: Buffer) => {
    const row = ofKey(run, org, key);
    return rows(row ? [{ ...stored(run, row), isOther: !row.requestHash.equals(hash) }] : []);
  },
  acquire_record: (run, id: string, owner: string, intents: string) =>
    own(run, id, owner, (row) => ({ intents: [...row.intents, ...JSON.parse(intents)] })),
  acquire_end: (
    run,
    id: string,
    owner: string,
    status: AcquireStatus,
    machineId: string | null,
    step: number | null,
  ) => own(run, id, owner, () => ({ status, machineId, step })),
  acquire_reopen: (run, id: string, owner: string, traceId: string) => {
    const row = run.tables.acquires.get(id);
    if (row?.status !== "done") return changed(0);
    const fresh = { status: "running", machineId: null, step: null, intents: [], traceId, owner } as const;
    store(run, { ...row, ...fresh, leaseMs: run.nowMs + LEASE_MS });
    return changed(1);
  },
  acquire_renew: (run, owner: string, ids: string[]) => {
    for (const id of ids) own(run, id, owner, () => ({ leaseMs: run.nowMs + LEASE_MS }));
    return changed(ids.length);
  },
  acquire_claim: (run, owner: string, limit: number, id: string | null) => {
    const due = [...run.tables.acquires.values()]
      .filter(({ status, leaseMs }) => (status === "running" || status === "settling") && leaseMs < run.nowMs)
      .filter((row) => id === null || row.id === id)
      .sort((a, b) => a.leaseMs - b.leaseMs)
      .slice(0, limit)
      .map((row) => ({ ...row, owner, leaseMs: run.nowMs + LEASE_MS }));
    for (const row of due) store(run, row);
    return rows(due.map((row) => ({ ...stored(run, row), isOther: false })));
  },
  acquire_postpone: (run, id: string, owner: string) =>
    own(run, id, owner, () => ({ leaseMs: run.nowMs + POSTPONE_MS })),
};

function ofKey({ tables }: Run, org: string, key: string): AcquireRow | undefined {
  return [...tables.acquires.values()].find(
    (row) => row.org === org && row.key === key && row.status !== "failed",
  );
}

function own(run: Run, id: string, owner: string, change: (row: AcquireRow) => Partial<AcquireRow>) {
  const row = run.tables.acquires.get(id);
  if (row?.owner !== owner) return changed(0);
  store(run, { ...row, ...change(row) });
  return changed(1);
}

function store(run: Run, row: AcquireRow): void {
  put(run.tables.acquires, row.id, row, run.onUndo);
}

/** The columns that the store reads. */
function stored({ nowMs }: Run, row: AcquireRow): Omit<StoredAcquire, "isOther"> {
  const { requestHash: _hash, leaseMs, ...read } = row;
  return { ...read, isOwned: leaseMs > nowMs };
}
