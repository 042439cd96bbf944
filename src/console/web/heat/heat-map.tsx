import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { HeatMap as Heat, Point } from "../../answers/overview.ts";
import { useSize } from "../parts/use-size.ts";
import { announcement } from "../state/announcement.ts";
import { go, view } from "../state/location.ts";
import { palette } from "../state/theme.ts";
import type { Box } from "../state/view.ts";
import { describeBox, readCell } from "./describe.ts";
import { draw, placeOf } from "./draw.ts";
import { type Cell, Geometry } from "./geometry.ts";
import { CellTip, Overlay } from "./overlay.tsx";
import { densest, isOneCell, moved, type Selection } from "./selection.ts";

interface HeatMapProps {
  readonly heat: Heat;
  readonly points: readonly Point[];
  readonly noun: string;
  /** Called with a cell that was clicked on. */
  onOpen(box: Box, isFailed: boolean): void;
}

/** A click is at most so far from where the pointer went down. */
const CLICK_PX = 4;
const POINT_PX = 9;
const HELP =
  "Arrow keys move, Shift and arrow keys choose a part, Enter filters by it or opens the cell, Escape gives up.";

/** Durations over time. Drag, or Shift and arrow keys, choose a part of it; a click opens a cell. */
export function HeatMap({ heat, points, noun, onOpen }: HeatMapProps) {
  const [place, size] = useSize<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [selection, setSelection] = useState<Selection>();
  const [hover, setHover] = useState<Cell>();
  const [isKeyboard, setKeyboard] = useState(false);
  const down = useRef<{ x: number; y: number }>(undefined);
  const geometry = useMemo(
    () => new Geometry(size.width, size.height, heat),
    [size.width, size.height, heat],
  );
  const { box } = view.value;
  const colors = palette.value;

  // In the frame of all other panels.
  useLayoutEffect(() => {
    if (canvas.current && size.width > 0)
      draw(canvas.current, geometry, { isFaint: points.length > 0, points });
  }, [geometry, points, colors]);

  const at = (event: PointerEvent) => {
    const { left, top } = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const choose = (chosen: Selection) => {
    const next = geometry.boxOf(chosen.anchor, chosen.cursor);
    announcement.value = `Filtered: ${describeBox(next)}`;
    if (chosen.anchor.row < 0 && chosen.cursor.row < 0) {
      const [since, until] = [next.fromMs, next.untilMs].map((ms) => new Date(ms).toISOString());
      go({ since: since ?? "", until: until ?? "", outcome: "failed", box: undefined });
    } else go({ box: next });
  };
  const open = (cell: Cell) => onOpen(cellBox(geometry, cell), cell.row < 0);

  const onPointerDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    const { x, y } = at(event);
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    down.current = { x, y };
    const cell = geometry.cellAt(x, y);
    setKeyboard(false);
    setSelection({ anchor: cell, cursor: cell });
  };
  const onPointerMove = (event: PointerEvent) => {
    const { x, y } = at(event);
    const cell = geometry.cellAt(x, y);
    if (down.current && selection) setSelection({ ...selection, cursor: cell });
    setHover(x < geometry.left || y > geometry.bandBottom ? undefined : cell);
  };
  const onPointerUp = (event: PointerEvent) => {
    const start = down.current;
    down.current = undefined;
    if (!start || !selection) return;
    const { x, y } = at(event);
    setSelection(undefined);
    if (Math.hypot(x - start.x, y - start.y) > CLICK_PX) {
      choose({ ...selection, cursor: geometry.cellAt(x, y) });
      return;
    }
    const near = nearest(geometry, points, x, y);
    if (near) go({ trace: near[4] });
    else open(geometry.cellAt(x, y));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const start = densest(geometry);
    const current = selection ?? { anchor: start, cursor: start };
    if (event.key === "Escape") {
      setSelection(undefined);
      if (!selection && box) go({ box: undefined });
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (isOneCell(current)) open(current.cursor);
      else choose(current);
      setSelection(undefined);
    } else {
      const next = selection
        ? moved(geometry, current, event.key, event.shiftKey)
        : keyed(event.key, current);
      if (!next) return;
      event.preventDefault();
      setKeyboard(true);
      setSelection(next);
      announcement.value = isOneCell(next)
        ? readCell(geometry, next.cursor, noun)
        : describeBox(geometry.boxOf(next.anchor, next.cursor));
    }
  };
  const shown = isKeyboard && selection ? selection.cursor : hover;
  return (
    <div
      ref={place}
      class="heat"
      role="application"
      aria-label={`Heat map of ${noun}s: duration over time. ${HELP}`}
      aria-roledescription="heat map"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it takes keys
      tabIndex={0}
      onKeyDown={onKeyDown}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
      onPointerLeave={() => setHover(undefined)}
      onBlur={() => setSelection(undefined)}
    >
      <canvas ref={canvas} />
      {size.width > 0 && (
        <Overlay geometry={geometry} box={box} selection={selection} hover={hover} isKeyboard={isKeyboard} />
      )}
      {shown && size.width > 0 && <CellTip geometry={geometry} cell={shown} noun={noun} />}
    </div>
  );
}

/** Begins with the keyboard: any key that moves shows where it is. */
function keyed(key: string, current: Selection): Selection | undefined {
  return /^(?:Arrow|Page|Home|End)/.test(key) ? current : undefined;
}

function cellBox(geometry: Geometry, cell: Cell): Box {
  if (cell.row >= 0) return geometry.boxOf(cell, cell);
  const { fromMs, untilMs } = geometry.boxOf(cell, cell);
  return { fromMs, untilMs, minUs: 0, maxUs: Number.MAX_SAFE_INTEGER };
}

function nearest(geometry: Geometry, points: readonly Point[], x: number, y: number): Point | undefined {
  let best: Point | undefined;
  let least = POINT_PX;
  for (const point of points) {
    const [px, py] = placeOf(geometry, point);
    const distance = Math.hypot(px - x, py - y);
    if (distance < least) [least, best] = [distance, point];
  }
  return best;
}
