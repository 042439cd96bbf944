const WITHOUT_OFFSET = /[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?$/i;

/**
 * Reads a time of a query as RFC 3339 writes it, or a day. Undefined for any other text. Without an
 * offset it is UTC, wherever the server is. A plus that is not escaped arrives as a space.
 */
export function timeOf(text: string): Date | undefined {
  const escaped = text.replace(/ (?=\d\d:\d\d$)/, "+");
  const written = WITHOUT_OFFSET.test(escaped) ? `${escaped}Z` : escaped;
  const ms = /^\d{4}-\d\d-\d\d/.test(written) ? Date.parse(written) : Number.NaN;
  return Number.isNaN(ms) ? undefined : new Date(ms);
}
