import { useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { tick } from "../format/format.ts";
import { palette } from "../state/theme.ts";
import { color } from "./colors.ts";
import { durationTicks } from "./scale.ts";

interface PlotProps {
  readonly label: string;
  /** Absent: as high as its place. */
  readonly height?: number;
  readonly data: uPlot.AlignedData;
  /** Everything but size, in the colours of now. The same for any data. */
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

  // Both in the frame of all other panels.
  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const made = new uPlot(withHooks({ ...options(), ...sizeOf(element) }, latest), data, element);
    chart.current = made;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) made.setSize(sizeOf(element));
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [colors]);
  useLayoutEffect(() => {
    if (chart.current && chart.current.data !== data) chart.current.setData(data);
  }, [data]);

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
      class={height === undefined ? "plot growing" : "plot"}
      role="img"
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: its cursor moves by keys
      tabIndex={0}
      onKeyDown={onKeyDown}
      {...(height === undefined ? {} : { style: { height: `${height}px` } })}
    />
  );
}

function sizeOf(element: HTMLElement): Pick<uPlot.Options, "width" | "height"> {
  return { width: Math.max(50, element.clientWidth), height: Math.max(40, element.clientHeight) };
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

/** A logarithmic axis of durations, with round marks. */
export function durationAxis(more: Partial<uPlot.Axis>, limit: number): uPlot.Axis {
  return axis({
    // The usual filter keeps powers of ten alone.
    filter: (_, splits) => splits,
    splits: (_, __, min, max) => [...durationTicks(min, max, limit)],
    // uPlot leaves marks out of a logarithmic axis that it has no room for.
    values: (_, ticks: (number | null)[]) => ticks.map((us) => (us === null ? "" : tick(us))),
    ...more,
  });
}

/** A logarithmic scale that is no longer than its values need. */
export function durationScale(): uPlot.Scale {
  return { distr: 3, range: (_, least, most) => [Math.max(1, least / 1.25), most * 1.25] };
}

/** An axis in the colours of now. */
export function axis(more: Partial<uPlot.Axis>): uPlot.Axis {
  return {
    stroke: color("muted"),
    font: color("chart-font"),
    grid: { stroke: color("grid"), width: 1 },
    ticks: { show: false },
    gap: 4,
    ...more,
  };
}
