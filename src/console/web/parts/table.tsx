import type { ComponentChildren } from "preact";

export interface Column<T> {
  readonly name: ComponentChildren;
  readonly isNumber?: boolean;
  /** Takes the room that is left, and is cut where it is too long. */
  readonly isWide?: boolean;
  cell(row: T): ComponentChildren;
}

interface TableProps<T> {
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  /** Absent: rows have no state, and another answer takes their places. */
  rowKey?(row: T, index: number): string;
}

/** A table whose first column names the row. */
export function Table<T>({ label, columns, rows, rowKey }: TableProps<T>) {
  const classes = ({ isNumber, isWide }: Column<T>) => (isNumber ? "number" : isWide ? "wide" : "");
  return (
    <table aria-label={label}>
      <thead>
        <tr>
          {columns.map((column, index) => (
            <th key={index} scope="col" class={classes(column)}>
              {column.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row, index) => (
          <tr key={rowKey?.(row, index) ?? index}>
            {columns.map((column, place) =>
              place === 0 ? (
                <th key={place} scope="row" class={classes(column)}>
                  {column.cell(row)}
                </th>
              ) : (
                <td key={place} class={classes(column)}>
                  {column.cell(row)}
                </td>
              ),
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
