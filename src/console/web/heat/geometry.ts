import type { HeatMap } from "../../answers/overview.ts";
import type { Box } from "../state/view.ts";

/** A column and a row of the heat map. Row -1 is the band of failures. */
export interface Cell {
  readonly column: number;
  readonly row: number;
}

const LEFT = 56;
const RIGHT = 8;
const TOP = 20;
const AXIS = 20;
const BAND = 18;
const BAND_GAP = 4;

/** Where times and durations lie on the canvas. */
export class Geometry {
  readonly width: number;
  readonly height: number;
  readonly heat: HeatMap;
  readonly columns: number;
  readonly rows: number;
  readonly left = LEFT;
  readonly right: number;
  readonly top = TOP;
  /** Lower end of the cells. */
  readonly bottom: number;
  readonly bandTop: number;
  readonly bandBottom: number;

  constructor(width: number, height: number, heat: HeatMap) {
    this.width = width;
    this.height = height;
    this.heat = heat;
    this.columns = heat.times_ms.length;
    this.rows = Math.max(0, heat.edges_us.length - 1);
    this.right = Math.max(LEFT + 10, width - RIGHT);
    this.bandBottom = height - AXIS;
    this.bandTop = this.bandBottom - BAND;
    this.bottom = this.bandTop - BAND_GAP;
  }

  get fromMs(): number {
    return this.heat.times_ms[0] ?? 0;
  }

  get untilMs(): number {
    return this.fromMs + this.columns * this.heat.step_ms;
  }

  get minUs(): number {
    return this.heat.edges_us[0] ?? 1;
  }

  get maxUs(): number {
    return this.heat.edges_us.at(-1) ?? 1;
  }

  xOf(ms: number): number {
    return LEFT + ((ms - this.fromMs) / (this.untilMs - this.fromMs)) * (this.right - LEFT);
  }

  yOf(us: number): number {
    const [low, high] = [Math.log(Math.max(1, this.minUs)), Math.log(Math.max(2, this.maxUs))];
    const share = (Math.log(Math.max(1, us)) - low) / (high - low);
    return this.bottom - Math.min(1, Math.max(0, share)) * (this.bottom - TOP);
  }

  /** Returns the cell at a place, the nearest one for places outside. */
  cellAt(x: number, y: number): Cell {
    const column = Math.floor(((x - LEFT) / (this.right - LEFT)) * this.columns);
    const bounded = Math.min(this.columns - 1, Math.max(0, column));
    if (y > this.bottom + BAND_GAP / 2) return { column: bounded, row: -1 };
    let row = this.rows - 1;
    while (row > 0 && y > this.yOf(this.heat.edges_us[row] ?? 0)) row--;
    return { column: bounded, row };
  }

  /** Returns the part of the map from one cell to another, both included. */
  boxOf(a: Cell, b: Cell): Box {
    const { times_ms, edges_us, step_ms } = this.heat;
    const [first, last] = [Math.min(a.column, b.column), Math.max(a.column, b.column)];
    const [low, high] = [Math.min(a.row, b.row), Math.max(a.row, b.row)];
    return {
      fromMs: times_ms[first] ?? 0,
      untilMs: (times_ms[last] ?? 0) + step_ms,
      minUs: edges_us[Math.max(0, low)] ?? 0,
      maxUs: edges_us[high + 1] ?? 0,
    };
  }

  /** Returns left, top, width and height of a box on the canvas. */
  rectangle(box: Box): readonly [number, number, number, number] {
    const clamp = (x: number) => Math.min(this.right, Math.max(LEFT, x));
    const [x1, x2] = [clamp(this.xOf(box.fromMs)), clamp(this.xOf(box.untilMs))];
    const [y1, y2] = [this.yOf(box.maxUs), this.yOf(box.minUs)];
    return [x1, y1, x2 - x1, y2 - y1];
  }

  cellRectangle({ column, row }: Cell): readonly [number, number, number, number] {
    const width = (this.right - LEFT) / this.columns;
    if (row < 0) return [LEFT + column * width, this.bandTop, width, this.bandBottom - this.bandTop];
    const [y1, y2] = [this.yOf(this.heat.edges_us[row + 1] ?? 0), this.yOf(this.heat.edges_us[row] ?? 0)];
    return [LEFT + column * width, y1, width, y2 - y1];
  }
}

const MINUTE = 60_000;
const TIME_STEPS = [
  ...[1_000, 5_000, 10_000, 30_000, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE],
  ...[1, 2, 3, 6, 12, 24, 48, 168].map((hours) => hours * 60 * MINUTE),
];

/** Returns round local times between two. */
export function timeTicks(fromMs: number, untilMs: number, limit: number): readonly number[] {
  const step = TIME_STEPS.find((each) => (untilMs - fromMs) / each <= limit) ?? 168 * 60 * MINUTE;
  const ticks: number[] = [];
  const first = Math.floor((fromMs - zoneOf(fromMs)) / step) * step;
  // Summer time may begin or end in between: each is round by the clock of its day.
  for (let local = first, at = fromMs; at < untilMs; local += step) {
    at = local + zoneOf(local + zoneOf(local));
    if (at >= fromMs && at < untilMs && at > (ticks.at(-1) ?? Number.NEGATIVE_INFINITY)) ticks.push(at);
  }
  return ticks;
}

/** Returns by how many milliseconds the local clock is behind UTC. */
function zoneOf(ms: number): number {
  return new Date(ms).getTimezoneOffset() * MINUTE;
}
