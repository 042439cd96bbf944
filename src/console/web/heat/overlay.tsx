import type { Mark } from "../../../lib/latency/operation.ts";
import { count } from "../format/format.ts";
import { exactClock } from "../format/time.ts";
import type { Box } from "../state/view.ts";
import { describeCell } from "./describe.ts";
import type { Cell, Geometry } from "./geometry.ts";
import { isOneCell, type Selection } from "./selection.ts";

interface OverlayProps {
  readonly geometry: Geometry;
  readonly box: Box | undefined;
  readonly selection: Selection | undefined;
  readonly hover: Cell | undefined;
  readonly isKeyboard: boolean;
}

/** What lies over the cells: marks, the box, the cell under pointer or keyboard. */
export function Overlay({ geometry, box, selection, hover, isKeyboard }: OverlayProps) {
  const chosen = selection && (!isOneCell(selection) || isKeyboard) ? selection : undefined;
  return (
    <svg class="overlay" width={geometry.width} height={geometry.height} aria-hidden="true">
      <Marks geometry={geometry} />
      {box && <BoxOutline geometry={geometry} box={box} />}
      {hover && !chosen && <CellOutline geometry={geometry} cell={hover} />}
      {chosen && <SelectionOutline geometry={geometry} selection={chosen} />}
    </svg>
  );
}

function BoxOutline({ geometry, box }: { readonly geometry: Geometry; readonly box: Box }) {
  const [x, y, width, height] = geometry.rectangle(box);
  const { left, right, top, bottom } = geometry;
  const hole = `M${left} ${top}H${right}V${bottom}H${left}Z M${x} ${y}V${y + height}H${x + width}V${y}Z`;
  return (
    <>
      <path class="shade" d={hole} />
      <rect class="box" x={x} y={y} width={Math.max(2, width)} height={Math.max(2, height)} />
    </>
  );
}

function CellOutline({ geometry, cell }: { readonly geometry: Geometry; readonly cell: Cell }) {
  const [x, y, width, height] = geometry.cellRectangle(cell);
  return <rect class="cell" x={x - 0.5} y={y - 0.5} width={Math.max(2, width)} height={height + 1} />;
}

function SelectionOutline({
  geometry,
  selection,
}: {
  readonly geometry: Geometry;
  readonly selection: Selection;
}) {
  const a = geometry.cellRectangle(selection.anchor);
  const b = geometry.cellRectangle(selection.cursor);
  const [x, y] = [Math.min(a[0], b[0]), Math.min(a[1], b[1])];
  const width = Math.max(a[0] + a[2], b[0] + b[2]) - x;
  const height = Math.max(a[1] + a[3], b[1] + b[3]) - y;
  return <rect class="choosing" x={x} y={y} width={width} height={height} />;
}

/** Marks closer than this share a label. */
const LABEL_WIDTH = 92;
const LINE_GAP = 6;

function Marks({ geometry }: { readonly geometry: Geometry }) {
  const { marks } = geometry.heat;
  const groups: { x: number; marks: Mark[] }[] = [];
  for (const mark of [...marks].sort((a, b) => a.timeMs - b.timeMs)) {
    const x = Math.round(geometry.xOf(mark.timeMs)) + 0.5;
    if (x < geometry.left || x > geometry.right) continue;
    const last = groups.at(-1);
    if (last && x - last.x < LABEL_WIDTH) last.marks.push(mark);
    else groups.push({ x, marks: [mark] });
  }
  return (
    <g class="marks">
      {groups.flatMap((group) =>
        apart(geometry, group.marks).map((mark, index) => {
          const x = Math.round(geometry.xOf(mark.timeMs)) + 0.5;
          return (
            <line
              key={`${group.x}-${index}`}
              class={mark.kind}
              x1={x}
              x2={x}
              y1={geometry.top - 4}
              y2={geometry.bandBottom}
            />
          );
        }),
      )}
      {groups.map((group) => (
        <text
          key={group.x}
          x={Math.min(group.x, geometry.right)}
          y={geometry.top - 8}
          text-anchor={
            group.x > geometry.right - 60 ? "end" : group.x < geometry.left + 40 ? "start" : "middle"
          }
        >
          <title>{group.marks.map(describeMark).join("\n")}</title>
          {markLabel(group.marks)}
        </text>
      ))}
    </g>
  );
}

/** Leaves marks out that would be drawn over another of their kind. */
function apart(geometry: Geometry, marks: readonly Mark[]): readonly Mark[] {
  return marks.filter((mark, index) => {
    const before = marks.slice(0, index).findLast(({ kind }) => kind === mark.kind);
    return !before || geometry.xOf(mark.timeMs) - geometry.xOf(before.timeMs) >= LINE_GAP;
  });
}

function markLabel(marks: readonly Mark[]): string {
  const labels = [
    ...new Set(marks.map((mark) => `${mark.kind === "version" ? "▲" : "◆"} ${shorten(mark.label)}`)),
  ];
  return labels.length > 1 ? `${labels[0]} +${labels.length - 1}` : (labels[0] ?? "");
}

function describeMark({ kind, label, host, timeMs }: Mark): string {
  return `${exactClock(timeMs)} ${kind} ${label}${host === "" ? "" : ` on ${host}`}`;
}

function shorten(text: string): string {
  return text.length > 16 ? `${text.slice(0, 15)}…` : text;
}

/** A tooltip beside a cell. */
export function CellTip({
  geometry,
  cell,
  noun,
}: {
  readonly geometry: Geometry;
  readonly cell: Cell;
  readonly noun: string;
}) {
  const { when, what, counts, total } = describeCell(geometry, cell);
  const [x, y, width] = geometry.cellRectangle(cell);
  const isRight = x > geometry.width * 0.65;
  const place = isRight ? { right: `${geometry.width - x + 8}px` } : { left: `${x + width + 8}px` };
  return (
    <div class="tip" style={{ ...place, top: `${Math.min(y, geometry.height - 92)}px` }}>
      <b>
        {count(total)} {noun}
        {total === 1 ? "" : "s"}
      </b>
      <span>{what}</span>
      <span class="muted">{when}</span>
      {counts.length > 0 && (
        <span class="muted">{counts.map((each) => `${each.path} ${count(each.count)}`).join(" · ")}</span>
      )}
    </div>
  );
}
