import type { Result } from "../../../src/lib/stores/postgres.ts";
import type { OnUndo, Tables } from "./postgres-tables.ts";

/** What a statement runs on. */
export interface Run {
  readonly tables: Tables;
  /** `now()`. */
  readonly nowMs: number;
  readonly onUndo: OnUndo;
}

/** What a statement does. Its values are those that the store gives; their types are as the statement's text has them. */
export type Does = (run: Run, ...values: never[]) => Result<unknown>;

/** An answer of these rows. */
export function rows(found: readonly unknown[]): Result<unknown> {
  return { rows: found, rowCount: found.length };
}

/** An answer without rows. */
export function changed(rowCount: number): Result<unknown> {
  return { rows: [], rowCount };
}
