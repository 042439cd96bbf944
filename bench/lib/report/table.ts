/** Aligns columns, the first to the left, others to the right. The first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const [heading = "", ...body] = rows.map((cells) =>
    widths
      .map((width, i) => (i === 0 ? (cells[i] ?? "").padEnd(width) : (cells[i] ?? "").padStart(width)))
      .join("  ")
      .trimEnd(),
  );
  return [heading, widths.map((width) => "-".repeat(width)).join("  "), ...body];
}

/** Formats a measured value with three significant digits, e.g. `0.42`, `3.14`, `57.1`, `2846`. */
export function number(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0);
}

/** Formats how many times one time is the other, e.g. `1/57`, `2.4x`. */
export function ratio(value: number, floor: number): string {
  if (value <= 0 || floor <= 0) return "";
  return value < floor ? `1/${number(floor / value)}` : `${number(value / floor)}x`;
}
