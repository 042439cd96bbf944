import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../tools/lib/paths.ts";

/** One thing that was measured at several sizes. */
export interface Series {
  readonly title: string;
  readonly unit: string;
  /** One for each size. */
  readonly values: readonly number[];
}

const PANEL = { width: 280, height: 170 };
const ACROSS = 3;
const INNER = { left: 16, top: 44, right: 30, bottom: 34 };

/** Writes how things grow as `bench/results/NAME-growth.svg`, a small panel for each. Returns where it is. */
export function writeGrowth(
  name: string,
  title: string,
  sizes: readonly number[],
  all: readonly Series[],
): string {
  const file = `${name}-growth.svg`;
  mkdirSync(join(ROOT, "bench/results"), { recursive: true });
  writeFileSync(join(ROOT, "bench/results", file), growth(title, sizes, all));
  return `bench/results/${file}`;
}

/** The drawing: sizes on a logarithmic axis, each panel's values from zero to its own largest. */
export function growth(title: string, sizes: readonly number[], all: readonly Series[]): string {
  const rows = Math.ceil(all.length / ACROSS);
  const [width, height] = [ACROSS * PANEL.width + 32, rows * PANEL.height + 60];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12" fill="#222">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="16" y="30" font-size="17" font-weight="600">${escapeXml(title)}</text>`,
    ...all.map((series, i) => {
      const [x, y] = [16 + (i % ACROSS) * PANEL.width, 48 + Math.floor(i / ACROSS) * PANEL.height];
      return `<g transform="translate(${x} ${y})">${panel(sizes, series)}</g>`;
    }),
    "</svg>",
    "",
  ].join("\n");
}

function panel(sizes: readonly number[], { title, unit, values }: Series): string {
  const [first = 1, last = 1] = [sizes[0], sizes.at(-1)];
  const span = Math.log(last / first) || 1;
  const most = Math.max(...values, Number.MIN_VALUE);
  const right = PANEL.width - INNER.right;
  const bottom = PANEL.height - INNER.bottom;
  const x = (size: number) => round(INNER.left + (Math.log(size / first) / span) * (right - INNER.left));
  const y = (value: number) => round(bottom - (value / most) * (bottom - INNER.top));
  const points = sizes.map((size, i) => [x(size), y(values[i] ?? 0), values[i] ?? 0, size] as const);
  return [
    `<text x="${INNER.left}" y="18" font-weight="600">${escapeXml(title)}${unit ? ` (${unit})` : ""}</text>`,
    `<line x1="${INNER.left}" y1="${bottom}" x2="${right}" y2="${bottom}" stroke="#999"/>`,
    `<polyline fill="none" stroke="#2f6ea8" stroke-width="2" points="${points.map(([px, py]) => `${px},${py}`).join(" ")}"/>`,
    ...points.map(
      ([px, py, value, size]) =>
        `<circle cx="${px}" cy="${py}" r="3.5" fill="#12304d"/>` +
        `<text x="${px}" y="${round(py - 8)}" text-anchor="middle" fill="#555">${short(value)}</text>` +
        `<text x="${px}" y="${bottom + 16}" text-anchor="middle" fill="#555">${short(size)}</text>`,
    ),
  ].join("");
}

function short(value: number): string {
  return String(Number(value.toPrecision(value >= 1_000 ? 4 : 2)));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
