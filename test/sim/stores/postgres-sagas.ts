import type { StepProgress } from "../../../src/api/creates/store/progress.ts";
import { isFinal, type SagaStatus, type StoredSaga } from "../../../src/api/creates/store/stored-saga.ts";
import {
  deleteIntent,
  describeMachine,
  insertMachine,
  type Placed,
  placeMachine,
  type Said,
} from "./postgres-machines.ts";
import { changed, type Does, type Run, rows } from "./postgres-run.ts";
import { put, type SagaTableRow } from "./postgres-tables.ts";

const UNFINISHED: ReadonlySet<SagaStatus> = new Set<SagaStatus>(["running", "undoing", "stuck"]);

type Json = string;
/** The values of `create_insert`. */
type Inserted = [
  ...[id: string, org: string, app: string, name: string, region: string, memoryMb: number],
  ...[requestId: string | null, hash: Buffer, request: Json, state: Json, traceparent: string],
  ...[owner: string, leaseMs: number],
];
/** The values of `saga_write`, see src/api/creates/store/saga-write.ts. */
type Written = [
  ...[id: string, owner: string, entries: Json, state: Json, status: SagaStatus, fault: Json | null],
  ...[releaseMs: number | null, steps: Json, place: Json | null, said: Json | null, snapshot: Json | null],
  ...[isCommitted: boolean, events: Json, resolveMs: number | null],
];
type Step = Pick<StepProgress, "sequence" | "step" | "status" | "detail"> & {
  readonly bytes_done: number;
  readonly bytes_total: number;
  readonly time: string;
};

/** The statements about sagas, their steps, and leases. */
export const statements: Readonly<Record<string, Does>> = {
  create_find_earlier: ({ tables }, org: string, requestId: string, hash: Buffer) => {
    const found = [...tables.sagas.values()].find(
      (saga) => saga.org === org && saga.requestId === requestId && saga.status !== "failed",
    );
    return rows(found ? [{ ...stored(found), isSame: found.request_hash.equals(hash) }] : []);
  },
  create_insert: (run, ...values: Inserted) => {
    const [id, org, app, name, _region, memoryMb, requestId, hash, request, state, ...rest] = values;
    const [traceparent, owner, leaseMs] = rest;
    if (!insertMachine(run, { createId: id, org, app, name, memoryMb })) return rows([]);
    const row: SagaTableRow = {
      ...{ id, org, requestId, request_hash: hash, status: "running" },
      ...{ request: JSON.parse(request), state: JSON.parse(state), entries: [], traceparent, fault: null },
      ...{ attempts: 0, createTime: new Date(run.nowMs), owner, leaseMs: run.nowMs + leaseMs },
      ...{ resolveMs: null, updateMs: run.nowMs },
    };
    put(run.tables.sagas, id, row, run.onUndo);
    return rows([stored(row)]);
  },
  saga_write: (run, ...values: Written) => {
    const [id, owner, entries, state, status, fault, releaseMs, steps, place, said, snapshot, ...rest] =
      values;
    const [isCommitted, events, resolveMs] = rest;
    const saga = run.tables.sagas.get(id);
    if (saga?.owner !== owner) return rows([{ owned: 0, placed: 0, described: 0 }]);
    const attempts = saga.attempts + (status === "stuck" ? 1 : 0);
    const released = releaseMs === null ? {} : { owner: null, leaseMs: run.nowMs + releaseMs, attempts };
    const doubts = resolveMs === null ? {} : { resolveMs: run.nowMs + resolveMs };
    const request = isFinal(status) ? null : saga.request;
    const told = { entries: parse(entries), state: parse(state), status, fault: parse(fault), request };
    // As saga-write.ts has made them, here and below.
    put(
      run.tables.sagas,
      id,
      { ...saga, ...told, ...released, ...doubts, updateMs: run.nowMs } as SagaTableRow,
      run.onUndo,
    );
    for (const step of parse(steps) as readonly Step[]) putStep(run, id, step);
    if (status === "failed") deleteIntent(run, id);
    const placed = place === null ? 0 : placeMachine(run, id, parse(place) as Placed);
    const machine = { ...parse(said), snapshot: parse(snapshot), isCommitted, events: parse(events) } as Said;
    return rows([{ owned: 1, placed, described: said === null ? 0 : describeMachine(run, id, machine) }]);
  },
  saga_renew: (run, id: string, owner: string, leaseMs: number) => {
    const saga = run.tables.sagas.get(id);
    if (saga?.owner !== owner) return changed(0);
    put(run.tables.sagas, id, { ...saga, leaseMs: run.nowMs + leaseMs }, run.onUndo);
    return changed(1);
  },
  saga_claim: (run, owner: string, leaseMs: number, limit: number) => {
    const due = [...run.tables.sagas.values()]
      .filter((saga) => UNFINISHED.has(saga.status) && saga.leaseMs < run.nowMs)
      .sort((a, b) => a.leaseMs - b.leaseMs)
      .slice(0, limit)
      .map((saga) => ({ ...saga, owner, leaseMs: run.nowMs + leaseMs }));
    for (const saga of due) put(run.tables.sagas, saga.id, saga, run.onUndo);
    return rows(due.map(stored));
  },
  saga_claim_in_doubt: (run, limit: number) => {
    const due = [...run.tables.sagas.values()]
      .filter(({ resolveMs }) => resolveMs !== null && resolveMs < run.nowMs)
      .sort((a, b) => Number(a.resolveMs) - Number(b.resolveMs))
      .slice(0, limit);
    for (const saga of due) {
      const againMs = Math.min(Math.max((run.nowMs - saga.updateMs) / 2, 2_000), 300_000);
      put(run.tables.sagas, saga.id, { ...saga, resolveMs: run.nowMs + againMs }, run.onUndo);
    }
    return rows(due.map(({ id, state, updateMs }) => ({ id, state, endedMs: run.nowMs - updateMs })));
  },
  saga_mark_resolved: (run, id: string) => {
    const saga = run.tables.sagas.get(id);
    if (saga) put(run.tables.sagas, id, { ...saga, resolveMs: null }, run.onUndo);
    return changed(saga ? 1 : 0);
  },
  saga_find: ({ tables }, org: string, requestId: string) => {
    const found = [...tables.sagas.values()].filter(
      (saga) => saga.org === org && saga.requestId === requestId,
    );
    return rows(
      found
        .sort((a, b) => b.createTime.getTime() - a.createTime.getTime())
        .slice(0, 1)
        .map(stored),
    );
  },
  saga_get: ({ tables }, id: string) => {
    const saga = tables.sagas.get(id);
    return rows(saga ? [stored(saga)] : []);
  },
  saga_steps: ({ tables }, id: string, from: number) => {
    const found = [...tables.steps.values()].filter((step) => step.sagaId === id && step.sequence >= from);
    return rows(found.sort((a, b) => a.sequence - b.sequence).map(({ sagaId: _, ...step }) => step));
  },
  saga_count_stuck: ({ tables }) =>
    rows([{ count: [...tables.sagas.values()].filter((saga) => saga.status === "stuck").length }]),
  lease_acquire: (run, name: string, owner: string, ms: number) => {
    const lease = run.tables.leases.get(name);
    if (lease && lease.owner !== owner && lease.untilMs >= run.nowMs) return changed(0);
    put(run.tables.leases, name, { owner, untilMs: run.nowMs + ms }, run.onUndo);
    return changed(1);
  },
};

/** The columns that the store reads. */
function stored(row: SagaTableRow): StoredSaga {
  const {
    request_hash: _hash,
    owner: _owner,
    leaseMs: _lease,
    resolveMs: _resolve,
    updateMs: _update,
    ...saga
  } = row;
  return saga;
}

/** A step that is there already keeps its name and status. */
function putStep(run: Run, sagaId: string, { time, bytes_done, bytes_total, ...step }: Step): void {
  const key = `${sagaId}/${step.sequence}`;
  const before = run.tables.steps.get(key);
  const progress: StepProgress = {
    ...step,
    step: before?.step ?? step.step,
    status: before?.status ?? step.status,
    bytesDone: bytes_done,
    bytesTotal: bytes_total,
    timeMs: Date.parse(time),
  };
  put(run.tables.steps, key, { sagaId, ...progress }, run.onUndo);
}

function parse(json: Json | null) {
  return json === null ? null : JSON.parse(json);
}
