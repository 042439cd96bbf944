import { line, round, svg, text } from "../report/svg.ts";

/** A quantity that was measured at several sizes. */
export interface Series {
  readonly title: string;
  readonly unit: string;
  /** One for each size. */
  readonly values: readonly number[];
}

const PANEL = { width: 280, height: 170 };
const PER_ROW = 3;
const [LEFT, RIGHT, TOP, BOTTOM] = [16, 250, 44, 136];
const LABEL = ' text-anchor="middle" font-size="12" fill="#555"';

/** Draws a panel for each series: sizes on a logarithmic axis, values from zero to the largest. */
export function growth(title: string, sizes: readonly number[], all: readonly Series[]): string {
  const height = Math.ceil(all.length / PER_ROW) * PANEL.height + 60;
  const panels = all.map((series, i) => {
    const [x, y] = [16 + (i % PER_ROW) * PANEL.width, 48 + Math.floor(i / PER_ROW) * PANEL.height];
    return `<g transform="translate(${x} ${y})">${panel(sizes, series)}</g>`;
  });
  return svg(PER_ROW * PANEL.width + 32, height, title, panels);
}

function panel(sizes: readonly number[], { title, unit, values }: Series): string {
  const [first = 1, last = 1] = [sizes[0], sizes.at(-1)];
  const most = Math.max(...values, Number.MIN_VALUE);
  const points = sizes.map((size, i) => {
    const value = values[i] ?? 0;
    const x = round(LEFT + (Math.log(size / first) / (Math.log(last / first) || 1)) * (RIGHT - LEFT));
    return { size, value, x, y: round(BOTTOM - (value / most) * (BOTTOM - TOP)) };
  });
  return [
    text(LEFT, 18, unit ? `${title} (${unit})` : title, ' font-weight="600"'),
    line(LEFT, BOTTOM, RIGHT, BOTTOM, "#999"),
    `<polyline fill="none" stroke="#2f6ea8" stroke-width="2" points="${points.map(({ x, y }) => `${x},${y}`).join(" ")}"/>`,
    ...points.flatMap(({ size, value, x, y }) => [
      `<circle cx="${x}" cy="${y}" r="3.5" fill="#12304d"/>`,
      text(x, y - 8, short(value), LABEL),
      text(x, BOTTOM + 16, short(size), LABEL),
    ]),
  ].join("");
}

function short(value: number): string {
  return String(Number(value.toPrecision(value >= 1_000 ? 4 : 2)));
}
