/**
 * Reads a time of a query as RFC 3339 writes it, or a day. Undefined for any other text. A plus that is
 * not escaped arrives as a space.
 */
export function timeOf(text: string): Date | undefined {
  const written = text.replace(/ (?=\d\d:\d\d$)/, "+");
  const ms = /^\d{4}-\d\d-\d\d/.test(written) ? Date.parse(written) : Number.NaN;
  return Number.isNaN(ms) ? undefined : new Date(ms);
}
