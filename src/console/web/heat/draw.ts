import type { Point } from "../../answers/overview.ts";
import { tick } from "../format/format.ts";
import { timeTick } from "../format/time.ts";
import { color, pathColorName } from "../parts/colors.ts";
import { durationTicks } from "../parts/scale.ts";
import { shapeOf } from "../parts/swatch.tsx";
import { type Geometry, timeTicks } from "./geometry.ts";

/** Cells are at least so opaque, so that a single operation can be seen. */
const FAINTEST = 0.28;

interface Drawn {
  /** Cells are faint when points are drawn over them. */
  readonly isFaint: boolean;
  readonly points: readonly Point[];
}

/** Draws the heat map, all but what follows the pointer. */
export function draw(canvas: HTMLCanvasElement, geometry: Geometry, { isFaint, points }: Drawn): void {
  const ratio = devicePixelRatio;
  const [width, height] = [Math.round(geometry.width * ratio), Math.round(geometry.height * ratio)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const ctx = canvas.getContext("2d");
  if (!ctx) return;
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, geometry.width, geometry.height);
  ctx.font = color("chart-font");
  drawAxes(ctx, geometry);
  ctx.globalAlpha = isFaint ? 0.35 : 1;
  drawCells(ctx, geometry);
  ctx.globalAlpha = 1;
  drawFailures(ctx, geometry);
  for (const point of points) drawPoint(ctx, geometry, point);
}

function drawAxes(ctx: CanvasRenderingContext2D, geometry: Geometry): void {
  const { left, right, top, bottom, bandTop, bandBottom } = geometry;
  ctx.strokeStyle = color("grid");
  ctx.fillStyle = color("muted");
  ctx.lineWidth = 1;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  const ticks = durationTicks(geometry.minUs, geometry.maxUs, (bottom - top) / 28);
  for (const us of ticks) {
    const y = Math.round(geometry.yOf(us)) + 0.5;
    line(ctx, left, y, right, y);
    ctx.fillText(tick(us), left - 6, Math.min(bottom - 4, y));
  }
  ctx.fillStyle = color("band");
  ctx.fillRect(left, bandTop, right - left, bandBottom - bandTop);
  ctx.fillStyle = color("muted");
  ctx.fillText("failed", left - 6, (bandTop + bandBottom) / 2 + 0.5);
  ctx.textBaseline = "alphabetic";
  const span = geometry.untilMs - geometry.fromMs;
  for (const ms of timeTicks(geometry.fromMs, geometry.untilMs, (right - left) / 76)) {
    const x = Math.round(geometry.xOf(ms)) + 0.5;
    line(ctx, x, top, x, bottom);
    ctx.textAlign = x < left + 18 ? "left" : x > right - 18 ? "right" : "center";
    ctx.fillText(timeTick(ms, span), x, geometry.height - 5);
  }
}

function drawCells(ctx: CanvasRenderingContext2D, geometry: Geometry): void {
  const { cells, paths } = geometry.heat;
  const totals = new Map<number, { count: number; path: number; most: number }>();
  for (const [column, row, path, count] of cells) {
    const key = column * geometry.rows + row;
    const total = totals.get(key) ?? { count: 0, path, most: 0 };
    total.count += count;
    if (count > total.most) Object.assign(total, { most: count, path });
    totals.set(key, total);
  }
  const most = Math.max(1, ...[...totals.values()].map(({ count }) => count));
  const alpha = ctx.globalAlpha;
  for (const [key, { count, path }] of totals) {
    const cell = { column: Math.floor(key / geometry.rows), row: key % geometry.rows };
    const [x, y, width, height] = geometry.cellRectangle(cell);
    const weight = most === 1 ? 1 : Math.log(count) / Math.log(most);
    ctx.globalAlpha = alpha * (FAINTEST + (1 - FAINTEST) * weight);
    ctx.fillStyle = color(pathColorName(paths[path] ?? ""));
    const gap = width > 5 ? 1 : 0.4;
    ctx.fillRect(x, y + 0.5, Math.max(1, width - gap), Math.max(1, height - 1));
  }
}

/** Failures have stripes, so that they are not told by their colour alone. */
function drawFailures(ctx: CanvasRenderingContext2D, geometry: Geometry): void {
  const { failed } = geometry.heat;
  const most = Math.max(1, ...failed);
  failed.forEach((count, column) => {
    if (count === 0) return;
    const [x, top, width, height] = geometry.cellRectangle({ column, row: -1 });
    const tall = Math.max(4, height * (0.35 + (0.65 * count) / most));
    ctx.save();
    ctx.beginPath();
    ctx.rect(x, top + height - tall, Math.max(2, width - 0.5), tall);
    ctx.clip();
    ctx.fillStyle = color("failed");
    ctx.fillRect(x, top, Math.max(2, width), height);
    ctx.strokeStyle = color("band");
    ctx.lineWidth = 0.8;
    for (let at = x - height; at < x + width; at += 4) line(ctx, at, top + height, at + height, top);
    ctx.restore();
  });
}

const outlines = new Map<string, Path2D>();

function drawPoint(ctx: CanvasRenderingContext2D, geometry: Geometry, point: Point): void {
  const [, , path, isFailed] = point;
  const [x, y] = placeOf(geometry, point);
  ctx.save();
  ctx.translate(x, y);
  if (isFailed) {
    ctx.strokeStyle = color("text");
    ctx.lineWidth = 1.4;
    line(ctx, -3, -3, 3, 3);
    line(ctx, -3, 3, 3, -3);
  } else {
    const outline = outlines.get(path) ?? new Path2D(shapeOf(path));
    outlines.set(path, outline);
    ctx.scale(0.8, 0.8);
    ctx.fillStyle = color(pathColorName(path));
    ctx.strokeStyle = color("surface");
    ctx.lineWidth = 1;
    ctx.fill(outline);
    ctx.stroke(outline);
  }
  ctx.restore();
}

/** Returns where the point of an operation is drawn. */
export function placeOf(
  geometry: Geometry,
  [startUs, durationUs, , isFailed]: Point,
): readonly [number, number] {
  const x = geometry.xOf(startUs / 1_000);
  return [x, isFailed ? (geometry.bandTop + geometry.bandBottom) / 2 : geometry.yOf(durationUs)];
}

function line(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}
