import type { Summary } from "./summary.ts";

/** A row of the table `trace`: the fields of a summary, and when the last span arrived. */
export type SummaryRow = Record<string, string | number | null>;

/** A summary, and when the last span of its trace arrived, in milliseconds since the epoch. */
export interface StoredSummary extends Summary {
  readonly receivedMs: number;
}

const BOOLEANS: ReadonlySet<string> = new Set(["hasRoot", "aboutMachine"] satisfies (keyof Summary)[]);

/** Converts a row; columns are the fields in snake_case. */
export function fromRow(row: Record<string, unknown>): StoredSummary {
  const entries = Object.entries(row).map(([column, value]) => {
    const name = column.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
    return [name, BOOLEANS.has(name) ? value === 1 : (value ?? undefined)];
  });
  // The table is strict and written from summaries only.
  return Object.fromEntries(entries);
}

/** Converts a summary; the opposite of {@link fromRow}. */
export function toRow(summary: StoredSummary): SummaryRow {
  const entries = Object.entries(summary).map(([name, value]) => {
    const column = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return [column, typeof value === "boolean" ? Number(value) : (value ?? null)];
  });
  return Object.fromEntries(entries);
}
