import type { SagaEntry } from "../../lib/saga/saga.ts";
import type { FaultData } from "./fault-data.ts";
import type { CreateRequest, CreateState } from "./steps/create-state.ts";

/** `undoing`: it has failed and is being taken back; `stuck`: an undo failed and is retried; `failed`: all is taken back. */
export type SagaStatus = "running" | "undoing" | "stuck" | "done" | "failed";

/** A create as it is stored. */
export interface StoredSaga {
  readonly id: string;
  readonly org: string;
  /** Undefined: not to be repeated, and undone when its caller goes away. */
  readonly requestId: string | undefined;
  readonly status: SagaStatus;
  readonly request: CreateRequest;
  readonly state: CreateState;
  readonly entries: readonly SagaEntry[];
  readonly traceparent: string;
  /** Why it failed. */
  readonly fault: FaultData | undefined;
  /** How often a run of it ended stuck. */
  readonly attempts: number;
  /** Milliseconds since the epoch, by Postgres' clock. */
  readonly createTimeMs: number;
}

/** The columns of a {@link SagaRow}. By name: a statement that is prepared must outlive a column that is added. */
export const SAGA_COLUMNS =
  "id, org, request_id, status, request, state, entries, traceparent, fault, attempts, create_time";

/** A row of `sagas`. */
export interface SagaRow {
  readonly id: string;
  readonly org: string;
  readonly request_id: string | null;
  readonly status: SagaStatus;
  readonly request: CreateRequest;
  readonly state: CreateState;
  readonly entries: SagaEntry[];
  readonly traceparent: string;
  readonly fault: FaultData | null;
  readonly attempts: number;
  readonly create_time: Date;
}

/** A row as the rest of the program knows it. */
export function toSaga(row: SagaRow): StoredSaga {
  return {
    id: row.id,
    org: row.org,
    requestId: row.request_id ?? undefined,
    status: row.status,
    request: row.request,
    state: row.state,
    entries: row.entries,
    traceparent: row.traceparent,
    fault: row.fault ?? undefined,
    attempts: row.attempts,
    createTimeMs: row.create_time.getTime(),
  };
}
