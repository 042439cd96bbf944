import type { SagaStatus } from "../../src/api/adapters/saga-row.ts";
import { insertMachine, placeMachine, recordMachine } from "./postgres-machines.ts";
import { changed, type Does, type Run, rows } from "./postgres-statements.ts";
import { put, type SagaTableRow } from "./postgres-tables.ts";

const UNFINISHED: ReadonlySet<SagaStatus> = new Set<SagaStatus>(["running", "undoing", "stuck"]);

/** The statements about sagas, their steps, and leases. */
export const statements: Readonly<Record<string, Does>> = {
  create_find_earlier: ({ tables }, org: string, requestId: string, hash: Buffer) => {
    const found = [...tables.sagas.values()].find(
      (saga) => saga.org === org && saga.request_id === requestId && saga.status !== "failed",
    );
    return rows(found ? [{ ...found, same: found.request_hash.equals(hash) }] : []);
  },
  create_insert_saga: (run, id, org, requestId, hash, request, state, traceparent, owner, leaseMs) => {
    const row: SagaTableRow = {
      ...{ id, org, request_id: requestId, request_hash: hash, status: "running" },
      ...{ request: JSON.parse(request), state: JSON.parse(state), entries: [], traceparent, fault: null },
      ...{ attempts: 0, create_time: new Date(run.nowMs), owner, leaseMs: run.nowMs + leaseMs },
    };
    put(run.tables.sagas, id, row, run.onUndo);
    return rows([row]);
  },
  create_insert: (run, id, org, app, name, _region, memoryMb, requestId, hash, request, state, traceparent, owner, leaseMs) => {
    if (!insertMachine(run, id, org, app, name, memoryMb)) return rows([]);
    const row: SagaTableRow = {
      ...{ id, org, request_id: requestId, request_hash: hash, status: "running" },
      ...{ request: JSON.parse(request), state: JSON.parse(state), entries: [], traceparent, fault: null },
      ...{ attempts: 0, create_time: new Date(run.nowMs), owner, leaseMs: run.nowMs + leaseMs },
    };
    put(run.tables.sagas, id, row, run.onUndo);
    return rows([row]);
  },
  // One statement for all that a run stores: parts that are null are not wanted, and none counts unless the run owns the saga.
  saga_write: (
    run,
    ...[id, owner, entries, state, status, fault, releaseMs, steps, place, said, snapshot, isRecorded, events]
  ) => {
    const saga = run.tables.sagas.get(id);
    if (!saga || saga.owner !== owner) return rows([{ owned: 0, placed: 0, recorded: 0 }]);
    const release =
      releaseMs === null
        ? {}
        : { owner: null, leaseMs: run.nowMs + releaseMs, attempts: saga.attempts + (status === "stuck" ? 1 : 0) };
    owned(run, id, owner, {
      ...{ entries: JSON.parse(entries), state: JSON.parse(state), status },
      ...{ fault: fault === null ? null : JSON.parse(fault), ...release },
    });
    for (const step of JSON.parse(steps)) {
      const key = `${id}/${step.sequence}`;
      const before = run.tables.steps.get(key);
      const fixed = before ?? { saga_id: id, sequence: step.sequence, step: step.step, status: step.status };
      const { detail, bytes_done, bytes_total, time } = step;
      const told = { detail, bytes_done: String(bytes_done), bytes_total: String(bytes_total), time: new Date(time) };
      put(run.tables.steps, key, { ...fixed, ...told }, run.onUndo);
    }
    const placed = place === null ? 0 : placeMachine(run, id, JSON.parse(place));
    const recorded = said === null ? 0 : recordMachine(run, id, JSON.parse(said), JSON.parse(snapshot), isRecorded, JSON.parse(events));
    return rows([{ owned: 1, placed, recorded }]);
  },
  saga_renew: (run, id, owner, leaseMs: number) => owned(run, id, owner, { leaseMs: run.nowMs + leaseMs }),
  saga_record: (run, id, owner, entries: string, state: string, status: SagaStatus, fault: string | null) =>
    owned(run, id, owner, {
      entries: JSON.parse(entries),
      state: JSON.parse(state),
      status,
      fault: fault === null ? null : JSON.parse(fault),
    }),
  saga_progress: (run, id: string, sequence, step, status, detail, bytesDone, bytesTotal, time: Date) => {
    if (!run.tables.sagas.has(id)) return changed(0);
    const key = `${id}/${sequence}`;
    const before = run.tables.steps.get(key);
    // What is there already keeps its name and status.
    const fixed = before ?? { saga_id: id, sequence, step, status };
    const told = { detail, bytes_done: String(bytesDone), bytes_total: String(bytesTotal), time };
    put(run.tables.steps, key, { ...fixed, ...told }, run.onUndo);
    return changed(1);
  },
  saga_save: (run, id, owner, state: string) => owned(run, id, owner, { state: JSON.parse(state) }),
  saga_release: (run, id, owner, status: SagaStatus, retryAfterMs: number) => {
    const attempts = (run.tables.sagas.get(id)?.attempts ?? 0) + (status === "stuck" ? 1 : 0);
    return owned(run, id, owner, { status, owner: null, leaseMs: run.nowMs + retryAfterMs, attempts });
  },
  saga_claim: (run, owner: string, leaseMs: number, limit: number) => {
    const due = [...run.tables.sagas.values()]
      .filter((saga) => UNFINISHED.has(saga.status) && saga.leaseMs < run.nowMs)
      .sort((a, b) => a.leaseMs - b.leaseMs)
      .slice(0, limit)
      .map((saga) => ({ ...saga, owner, leaseMs: run.nowMs + leaseMs }));
    for (const saga of due) put(run.tables.sagas, saga.id, saga, run.onUndo);
    return rows(due);
  },
  saga_find: ({ tables }, org: string, requestId: string) => {
    const found = [...tables.sagas.values()].filter((saga) => saga.org === org && saga.request_id === requestId);
    return rows(found.sort((a, b) => b.create_time.getTime() - a.create_time.getTime()).slice(0, 1));
  },
  saga_get: ({ tables }, id: string) => {
    const saga = tables.sagas.get(id);
    return rows(saga ? [saga] : []);
  },
  saga_steps: ({ tables }, id: string, from: number) => {
    const found = [...tables.steps.values()].filter((step) => step["saga_id"] === id && Number(step["sequence"]) >= from);
    return rows(found.sort((a, b) => Number(a["sequence"]) - Number(b["sequence"])));
  },
  saga_count_stuck: ({ tables }) =>
    rows([{ count: String([...tables.sagas.values()].filter((saga) => saga.status === "stuck").length) }]),
  lease_hold: (run, name: string, owner: string, ms: number) => {
    const lease = run.tables.leases.get(name);
    if (lease && lease.owner !== owner && lease.untilMs >= run.nowMs) return changed(0);
    put(run.tables.leases, name, { owner, untilMs: run.nowMs + ms }, run.onUndo);
    return changed(1);
  },
};

/** Changes a saga for its owner only. */
function owned(run: Run, id: string, owner: string, fields: Partial<SagaTableRow>) {
  const saga = run.tables.sagas.get(id);
  if (saga?.owner !== owner) return changed(0);
  put(run.tables.sagas, id, { ...saga, ...fields }, run.onUndo);
  return changed(1);
}
