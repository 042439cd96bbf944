import type { Operation } from "../../lib/latency/operation.ts";

/** Columns of the table, in its order. */
const COLUMNS: readonly (readonly [string, (operation: Operation) => string | number])[] = [
  ["start", ({ startUs }) => new Date(startUs / 1_000).toISOString()],
  ["kind", ({ kind }) => kind],
  ["duration_us", ({ durationUs }) => durationUs],
  ["reason", ({ reason }) => reason],
  ["path", ({ path }) => path],
  ["not_faster", ({ notFaster }) => notFaster],
  ["org", ({ org }) => org],
  ["app", ({ app }) => app],
  ["machine", ({ machineId }) => machineId],
  ["host", ({ host }) => host],
  ["region", ({ region }) => region],
  ["image", ({ image }) => image],
  ["size", ({ size }) => size],
  ["version", ({ version }) => version],
  ["queue_length", ({ queueLength }) => queueLength],
  ["concurrency", ({ concurrency }) => concurrency],
  ["pool_size", ({ poolSize }) => poolSize],
  ["refill_ms", ({ refillMs }) => refillMs],
  ["unexplained_us", ({ unexplainedUs }) => unexplainedUs],
  ["skew_us", ({ skewUs }) => skewUs],
  ["lag_ms", ({ lagMs }) => lagMs],
  ["trace_id", ({ traceId }) => traceId],
];

/** Writes operations as a table of RFC 4180, a column for each hop at the end. */
export function* csvOf(operations: Iterable<Operation>, hops: readonly string[]): Generator<string> {
  yield line([...COLUMNS.map(([name]) => name), ...hops.map((hop) => `${hop} us`)]);
  for (const operation of operations) {
    yield line([
      ...COLUMNS.map(([, cellOf]) => cellOf(operation)),
      ...hops.map((hop) => operation.hops[hop] ?? 0),
    ]);
  }
}

function line(cells: readonly (string | number)[]): string {
  return `${cells.map((cell) => (typeof cell === "number" ? String(cell) : textCell(cell))).join(",")}\r\n`;
}

/** Spreadsheets compute texts that begin like a formula, some also in full width: an apostrophe keeps them texts. */
function textCell(text: string): string {
  const safe = /^[=+\-@＝＋－＠\t\r\n]/.test(text) ? `'${text}` : text;
  return /[",\r\n']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
