/** Aligns cells in columns, the first to the left and the others to the right. The first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    widths
      .map((width, column) => {
        const cell = cells[column] ?? "";
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  ")
      .trimEnd();
  const [heading = [], ...body] = rows;
  return [line(heading), widths.map((width) => "-".repeat(width)).join("  "), ...body.map(line)];
}

/** A measured value with three digits that mean something: `0.42`, `3.14`, `57.1`, `2846`. */
export function number(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0);
}

/** How many times one time is the other: `1/57`, `2.4x`. */
export function ratio(value: number, floor: number): string {
  if (value <= 0 || floor <= 0) return "";
  return value < floor ? `1/${number(floor / value)}` : `${number(value / floor)}x`;
}
