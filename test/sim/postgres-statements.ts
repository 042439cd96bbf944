import type { Result, Statement } from "../../src/lib/stores/postgres.ts";
import * as hosts from "./postgres-hosts.ts";
import * as machines from "./postgres-machines.ts";
import * as sagas from "./postgres-sagas.ts";
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

/** By the statements' names, which stand for their texts. */
const KNOWN: Readonly<Record<string, Does>> = {
  ...machines.statements,
  ...sagas.statements,
  ...hosts.statements,
};

/**
 * Runs one statement.
 *
 * @throws Error when the name is new: write it beside the others
 */
export function execute(
  tables: Tables,
  statement: Statement,
  nowMs: number,
  onUndo: OnUndo,
): Result<unknown> {
  const does = KNOWN[statement.name];
  if (!does) throw new Error(`the simulated Postgres does not know the statement ${statement.name}`);
  // Of the types that the statement of this name takes: the store that made it knows.
  return does({ tables, nowMs, onUndo }, ...((statement.values ?? []) as never[]));
}

/** An answer of these rows. */
export function rows(found: readonly unknown[]): Result<unknown> {
  return { rows: found, rowCount: found.length };
}

/** An answer without rows. */
export function changed(rowCount: number): Result<unknown> {
  return { rows: [], rowCount };
}
