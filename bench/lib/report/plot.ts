import type { Row } from "./percentiles.ts";
import { line, round, svg, text } from "./svg.ts";

const WIDTH = 860;
const LABELS = 190;
const VALUES = 150;
const TOP = 74;
const STEP = 30;
const RIGHT = WIDTH - VALUES;
const GREY = ' fill="#555"';
const LEGEND = "dot: median   bar: to p90   tick: p99   line: to the maximum   (logarithmic)";

type Place = (value: number) => number;

/** Draws the rows in milliseconds as strips on a logarithmic axis, fastest first. */
export function plot(title: string, subtitle: string, rows: readonly Row[]): string {
  const shown = rows.filter((row) => row.unit === "ms" && row.p50 > 0).toSorted((a, b) => a.p50 - b.p50);
  const { ticks, x } = logScale(shown);
  const bottom = TOP + Math.max(1, shown.length) * STEP;
  return svg(WIDTH, bottom + 56, title, [
    text(16, 48, subtitle, GREY),
    ...ticks.flatMap((tick) => [
      line(x(tick), TOP - 8, x(tick), bottom, "#ddd"),
      text(x(tick), bottom + 18, time(tick), ` text-anchor="middle"${GREY}`),
    ]),
    ...shown.flatMap((row, index) => strip(row, TOP + index * STEP + STEP / 2, x)),
    text(16, bottom + 44, LEGEND, GREY),
  ]);
}

function strip({ name, p50, p90, p99, max }: Row, y: number, x: Place): string[] {
  return [
    text(LABELS - 12, y + 4, name, ' text-anchor="end"'),
    line(x(p50), y, x(max), y, "#7aa2c8", 2),
    line(x(p50), y, x(p90), y, "#2f6ea8", 10),
    line(x(p99), y - 7, x(p99), y + 7, "#2f6ea8", 2),
    `<circle cx="${round(x(p50))}" cy="${y}" r="6" fill="#12304d"/>`,
    text(RIGHT + 12, y + 4, `${time(p50)}, p99 ${time(p99)}`, GREY),
  ];
}

/** From the power of ten below the smallest value to the one above the largest. */
function logScale(rows: readonly Row[]): { readonly ticks: readonly number[]; readonly x: Place } {
  const values = rows.flatMap((row) => [row.p50, row.max]);
  const from = Math.floor(Math.log10(Math.min(...values, 1_000)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(...values, 1))));
  const ticks = Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index));
  return { ticks, x: (value) => LABELS + ((Math.log10(value) - from) / (to - from)) * (RIGHT - LABELS) };
}

/** E.g. `0.42 ms`, `57 ms`, `2.8 s`. */
function time(ms: number): string {
  const [value, unit] = ms >= 1_000 ? [ms / 1_000, "s"] : [ms, "ms"];
  return `${Number(value.toPrecision(2))} ${unit}`;
}
