import type { Row } from "./percentiles.ts";

const WIDTH = 860;
const LABELS = 190;
const VALUES = 150;
const TOP = 74;
const STEP = 30;
const RIGHT = WIDTH - VALUES;

/**
 * Draws the rows measured in milliseconds as strips on a logarithmic axis, fastest first: a bar from the median to the 90th percentile, a
 * thin line on to the maximum, a tick at the 99th. Returns an SVG that needs nothing else and reads on dark and light grounds.
 */
export function plot(title: string, subtitle: string, rows: readonly Row[]): string {
  const shown = rows.filter((row) => row.unit === "ms" && row.p50 > 0).toSorted((a, b) => a.p50 - b.p50);
  const scale = logScale(shown);
  const bottom = TOP + Math.max(1, shown.length) * STEP;
  const text = (x: number, y: number, value: string, extra = "") =>
    `<text x="${round(x)}" y="${round(y)}"${extra}>${escapeXml(value)}</text>`;
  const grid = scale.ticks.map(
    (tick) =>
      `<line x1="${round(scale.x(tick))}" y1="${TOP - 8}" x2="${round(scale.x(tick))}" y2="${bottom}" stroke="#ddd"/>` +
      text(scale.x(tick), bottom + 18, time(tick), ' text-anchor="middle" fill="#555"'),
  );
  const strips = shown.map((row, index) => strip(row, TOP + index * STEP + STEP / 2, scale.x, text));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${bottom + 56}" viewBox="0 0 ${WIDTH} ${bottom + 56}" font-family="system-ui, sans-serif" font-size="13" fill="#222">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    text(16, 28, title, ' font-size="17" font-weight="600"'),
    text(16, 48, subtitle, ' fill="#555"'),
    ...grid,
    ...strips,
    text(
      16,
      bottom + 44,
      "dot: median   bar: to p90   tick: p99   line: to the maximum   (logarithmic)",
      ' fill="#555"',
    ),
    "</svg>",
    "",
  ].join("\n");
}

type Place = (value: number) => number;
type Write = (x: number, y: number, value: string, extra?: string) => string;

function strip(row: Row, y: number, x: Place, text: Write): string {
  const [p50, p90, p99, max] = [row.p50, row.p90, row.p99, row.max].map((value) => round(x(value)));
  return [
    text(LABELS - 12, y + 4, row.name, ' text-anchor="end"'),
    `<line x1="${p50}" y1="${y}" x2="${max}" y2="${y}" stroke="#7aa2c8" stroke-width="2"/>`,
    `<line x1="${p50}" y1="${y}" x2="${p90}" y2="${y}" stroke="#2f6ea8" stroke-width="10"/>`,
    `<line x1="${p99}" y1="${y - 7}" x2="${p99}" y2="${y + 7}" stroke="#2f6ea8" stroke-width="2"/>`,
    `<circle cx="${p50}" cy="${y}" r="6" fill="#12304d"/>`,
    text(RIGHT + 12, y + 4, `${time(row.p50)}, p99 ${time(row.p99)}`, ' fill="#555"'),
  ].join("");
}

/** From the power of ten below the smallest value to the one above the largest. */
function logScale(rows: readonly Row[]): { readonly ticks: readonly number[]; readonly x: Place } {
  const values = rows.flatMap((row) => [row.p50, row.max]);
  const from = Math.floor(Math.log10(Math.min(...values, 1_000)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(...values, 1))));
  const ticks = Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index));
  return { ticks, x: (value) => LABELS + ((Math.log10(value) - from) / (to - from)) * (RIGHT - LABELS) };
}

/** `0.42 ms`, `57 ms`, `2.8 s`. */
function time(ms: number): string {
  if (ms >= 1_000) return `${significant(ms / 1_000)} s`;
  return `${significant(ms)} ms`;
}

function significant(value: number): string {
  return String(Number(value.toPrecision(2)));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeXml(value: string): string {
  return value.replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
