import type { SagaEntry } from "../../../lib/saga/saga.ts";
import type { CreateRequest, CreateState } from "./create-state.ts";
import type { FaultData } from "./fault-data.ts";

/**
 * `undoing`: it has failed and its steps are being undone; `stuck`: an undo failed and is retried;
 * `failed`: every step is undone.
 */
export type SagaStatus = "running" | "undoing" | "stuck" | "done" | "failed";

/** Whether a create has ended for good. */
export function isFinal(status: SagaStatus): boolean {
  return status === "done" || status === "failed";
}

export interface StoredSaga {
  readonly id: string;
  readonly org: string;
  /** Null: the create cannot be repeated, and is undone when its caller goes away. */
  readonly requestId: string | null;
  readonly status: SagaStatus;
  /** Null when it is done or has failed: only its digest is kept then. */
  readonly request: CreateRequest | null;
  readonly state: CreateState;
  readonly entries: readonly SagaEntry[];
  readonly traceparent: string;
  readonly fault: FaultData | null;
  /** How many runs ended stuck. */
  readonly attempts: number;
  /** By Postgres' clock. */
  readonly createTime: Date;
}

/** Not `*`: prepared statements must survive an added column. */
export const SAGA_COLUMNS = `id, org, request_id as "requestId", status, request, state, entries, traceparent, fault,
  attempts, create_time as "createTime"`;
