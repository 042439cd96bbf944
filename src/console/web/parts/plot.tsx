import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { palette } from "../state/theme.ts";
import { color } from "./colors.ts";

interface PlotProps {
  readonly label: string;
  readonly height: number;
  readonly data: uPlot.AlignedData;
  /** Everything but size, in the colours of now. */
  options(): Omit<uPlot.Options, "width" | "height">;
  /** Called with the ends of a range that was dragged on the x axis. */
  onRange?(from: number, until: number): void;
  /** Called with the index under the cursor. */
  onCursor?(index: number | undefined): void;
}

/** A chart of uPlot as wide as its place. Left and right move its cursor. */
export function Plot({ label, height, data, options, onRange, onCursor }: PlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>(undefined);
  const latest = useRef<Calls>({ onRange, onCursor });
  latest.current = { onRange, onCursor };
  const colors = palette.value;

  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const made = new uPlot(
      withHooks({ ...options(), width: Math.max(50, element.clientWidth), height }, latest),
      data,
      element,
    );
    chart.current = made;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) made.setSize({ width: element.clientWidth, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [colors, height, data]);

  const onKeyDown = (event: KeyboardEvent) => {
    const made = chart.current;
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!made || step === 0) return;
    event.preventDefault();
    const last = (made.data[0]?.length ?? 0) - 1;
    const index = Math.min(last, Math.max(0, (made.cursor.idx ?? (step > 0 ? -1 : last + 1)) + step));
    const at = made.data[0]?.[index];
    if (at !== undefined) made.setCursor({ left: made.valToPos(at, "x"), top: 10 });
  };
  return (
    <div
      ref={place}
      class="plot"
      role="img"
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: its cursor moves by keys
      tabIndex={0}
      onKeyDown={onKeyDown}
      style={{ height: `${height}px` }}
    />
  );
}

interface Calls {
  readonly onRange: PlotProps["onRange"] | undefined;
  readonly onCursor: PlotProps["onCursor"] | undefined;
}

function withHooks(options: uPlot.Options, latest: { readonly current: Calls }): uPlot.Options {
  return {
    ...options,
    hooks: {
      ...options.hooks,
      setSelect: [
        (made) => {
          const { left, width } = made.select;
          if (width < 4) return;
          latest.current.onRange?.(made.posToVal(left, "x"), made.posToVal(left + width, "x"));
          made.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      setCursor: [(made) => latest.current.onCursor?.(made.cursor.idx ?? undefined)],
    },
  };
}

/** An axis in the colours of now. */
export function axis(more: Partial<uPlot.Axis>): uPlot.Axis {
  return {
    stroke: color("muted"),
    font: `11px ${color("font")}`,
    grid: { stroke: color("grid"), width: 1 },
    ticks: { show: false },
    gap: 4,
    ...more,
  };
}
