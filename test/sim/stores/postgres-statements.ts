import type { Result, Statement } from "../../../src/lib/stores/postgres.ts";
import * as acquires from "./postgres-acquires.ts";
import * as hosts from "./postgres-hosts.ts";
import * as machines from "./postgres-machines.ts";
import type { Does } from "./postgres-run.ts";
import * as sagas from "./postgres-sagas.ts";
import type { OnUndo, Tables } from "./postgres-tables.ts";
import * as updates from "./postgres-updates.ts";

/** By the statements' names, which stand for their texts. */
const KNOWN: Readonly<Record<string, Does>> = {
  ...machines.statements,
  ...sagas.statements,
  ...hosts.statements,
  ...updates.statements,
  ...acquires.statements,
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
