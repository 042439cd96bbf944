import type { Operation } from "./operation.ts";

/** A row of the table `operation`. */
export type OperationRow = Record<string, string | number>;

/** An operation with the number of its row, which grows with every insert. */
export interface StoredOperation extends Operation {
  readonly row: number;
}

/** Converts a row; columns are the fields in snake case. */
export function fromRow(row: Readonly<Record<string, unknown>>): StoredOperation {
  const fields: Record<string, unknown> = {};
  for (const [column, value] of Object.entries(row)) fields[nameOf(column)] = value;
  // The table is strict and written from operations only.
  return { ...fields, hops: JSON.parse(String(row["hops"])) } as unknown as StoredOperation;
}

/** Converts an operation; the opposite of {@link fromRow}. */
export function toRow(operation: Operation): OperationRow {
  const row: OperationRow = {};
  for (const [name, value] of Object.entries(operation)) {
    const column = columnOf(name);
    row[column] = name === "hops" ? JSON.stringify(value) : (value as string | number);
  }
  return row;
}

const names = new Map<string, string>();
const columns = new Map<string, string>();

function nameOf(column: string): string {
  return remembered(names, column, () =>
    column.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
  );
}

function columnOf(name: string): string {
  return remembered(columns, name, () => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
}

function remembered(map: Map<string, string>, key: string, make: () => string): string {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
