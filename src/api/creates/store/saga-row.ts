import type { SagaEntry } from "../../../lib/saga/saga.ts";
import type { CreateRequest, CreateState } from "./create-state.ts";
import type { FaultData } from "./fault-data.ts";

/**
 * The status of a create:
 *
 * - `running`
 * - `undoing`: it has failed and its steps are being undone
 * - `stuck`: an undo failed and is retried
 * - `done`
 * - `failed`: every step is undone
 */
export type SagaStatus = "running" | "undoing" | "stuck" | "done" | "failed";

/** A create as it is stored. */
export interface StoredSaga {
  readonly id: string;
  readonly org: string;
  /** Undefined: the create cannot be repeated, and is undone when its caller goes away. */
  readonly requestId: string | undefined;
  readonly status: SagaStatus;
  readonly request: CreateRequest;
  readonly state: CreateState;
  readonly entries: readonly SagaEntry[];
  readonly traceparent: string;
  /** Why it failed. */
  readonly fault: FaultData | undefined;
  /** How many runs ended stuck. */
  readonly attempts: number;
  /** Milliseconds since the epoch, by Postgres' clock. */
  readonly createTimeMs: number;
}

/** The columns of a {@link SagaRow}. Named one by one: prepared statements must survive an added column. */
export const SAGA_COLUMNS =
  "id, org, request_id, status, request, state, entries, traceparent, fault, attempts, create_time";

/** A row of `sagas`. */
export interface SagaRow extends Omit<StoredSaga, "requestId" | "fault" | "createTimeMs"> {
  readonly request_id: string | null;
  readonly fault: FaultData | null;
  readonly create_time: Date;
}

/** Converts a row. */
export function sagaFromRow({ request_id, fault, create_time, ...saga }: SagaRow): StoredSaga {
  return {
    id: saga.id,
    org: saga.org,
    requestId: request_id ?? undefined,
    status: saga.status,
    request: saga.request,
    state: saga.state,
    entries: saga.entries,
    traceparent: saga.traceparent,
    fault: fault ?? undefined,
    attempts: saga.attempts,
    createTimeMs: create_time.getTime(),
  };
}
