import { useMemo, useState } from "preact/hooks";
import type uPlot from "uplot";
import type { Percentiles } from "../../../lib/latency/answers.ts";
import type { Overview, PercentileSeries } from "../../answers/overview.ts";
import { count, duration } from "../format/format.ts";
import { clock, timeTick } from "../format/time.ts";
import { color } from "../parts/colors.ts";
import { Empty, Panel } from "../parts/panel.tsx";
import { axis, durationAxis, durationScale, Plot } from "../parts/plot.tsx";
import { Table } from "../parts/table.tsx";
import { go } from "../state/location.ts";

const LINES = ["p50", "p90", "p99", "max"] as const;
const DASHES = { p50: [], p90: [7, 3], p99: [3, 3], max: [1, 3] } as const;

/** Percentiles over time, with the number of samples below. */
export function PercentilesPanel({ data, noun }: { readonly data: Overview; readonly noun: string }) {
  const [isUnsampled, setUnsampled] = useState(false);
  const { step_ms, all, points: kept, unsampled } = data.percentiles;
  const shown = isUnsampled && unsampled ? unsampled : { points: kept, all };
  const [index, setIndex] = useState<number>();
  const table = useMemo(() => columnsOf(shown.points), [shown.points]);
  const under = index === undefined ? undefined : shown.points[index];
  return (
    <Panel
      title="Percentiles"
      area="percentiles"
      note={
        under ? (
          <>
            {clock(under.time_ms, step_ms)} · <Figures of={under} /> · n {count(under.count)}
          </>
        ) : (
          <>
            <Figures of={shown.all} /> · n {count(shown.all.count)}
          </>
        )
      }
      actions={
        unsampled && (
          <button
            type="button"
            class="chip"
            aria-pressed={isUnsampled}
            title="Kept: exact, of traces that are still there. All: from histograms made before any trace was evicted"
            onClick={() => setUnsampled(!isUnsampled)}
          >
            {isUnsampled ? "all" : "kept"}
          </button>
        )
      }
      table={() => <PercentileTable points={shown.points} stepMs={step_ms} />}
      empty={shown.all.count === 0 ? <Empty>No {noun}s in this period.</Empty> : undefined}
    >
      <Plot
        label={`Percentiles over time. p50 ${duration(shown.all.p50)}, p90 ${duration(shown.all.p90)}, p99 ${duration(shown.all.p99)}`}
        data={table}
        options={percentileOptions}
        onCursor={setIndex}
        onRange={zoomTime}
      />
      <Plot
        label={`Samples: ${count(shown.all.count)} in all`}
        height={56}
        data={useMemo(() => [table[0], table[5] ?? []] as uPlot.AlignedData, [table])}
        options={countOptions}
        onRange={zoomTime}
      />
    </Panel>
  );
}

/** Shows a part of the period alone. Ends are seconds since the epoch. */
export function zoomTime(from: number, until: number): void {
  const [since, end] = [from, until].map((each) => new Date(Math.round(each * 1_000)).toISOString());
  go({ since: since ?? "", until: end ?? "", box: undefined });
}

function Figures({ of }: { readonly of: Percentiles }) {
  return (
    <>
      {LINES.map((line) => (
        <span key={line} class={`figure ${line}`}>
          <svg width="18" height="8" aria-hidden="true">
            <line x1="0" x2="18" y1="4" y2="4" stroke-dasharray={DASHES[line].join(" ")} />
          </svg>
          {line} <b>{duration(of[line])}</b>
        </span>
      ))}
    </>
  );
}

function columnsOf(points: PercentileSeries["points"]): uPlot.AlignedData {
  const of = (line: (typeof LINES)[number]) => points.map((point) => (point.count > 0 ? point[line] : null));
  const times = points.map(({ time_ms }) => time_ms / 1_000);
  return [times, ...LINES.map(of), points.map((point) => point.count)] as uPlot.AlignedData;
}

function percentileOptions(): Omit<uPlot.Options, "width" | "height"> {
  return {
    ...timeOptions(),
    scales: { x: { time: true }, y: durationScale(), n: { range: [0, 1] } },
    axes: [axis({ size: 18, values: timeValues }), durationAxis({ size: 56 }, 7)],
    series: [
      {},
      ...LINES.map((line) => ({
        stroke: color(`line-${line}`),
        width: line === "max" ? 1 : 1.6,
        dash: [...DASHES[line]],
        points: { show: false },
        spanGaps: false,
      })),
      { scale: "n", show: false },
    ],
  };
}

function countOptions(): Omit<uPlot.Options, "width" | "height"> {
  return {
    ...timeOptions(),
    scales: { x: { time: true }, y: { range: (_, __, most) => [0, Math.max(1, most)] } },
    axes: [
      axis({ size: 4, values: () => [], grid: { show: false } }),
      axis({
        size: 56,
        splits: (_, __, ___, most) => [0, most],
        values: (_, [, most]) => [null, `n ${count(most ?? 0)}`],
        grid: { show: false },
      }),
    ],
    series: [{}, { stroke: color("muted"), fill: color("fill"), width: 1, points: { show: false } }],
  };
}

/** What all charts over time have in common. */
export function timeOptions(): Pick<uPlot.Options, "legend" | "cursor" | "padding"> {
  return {
    legend: { show: false },
    padding: [6, 16, 0, 0],
    cursor: {
      sync: { key: "time" },
      y: false,
      points: { size: 6 },
      drag: { x: true, y: false, setScale: false },
    },
  };
}

export function timeValues(chart: uPlot, ticks: number[]): string[] {
  const { min = 0, max = 0 } = chart.scales["x"] ?? {};
  return ticks.map((at) => timeTick(at * 1_000, ((max ?? 0) - (min ?? 0)) * 1_000));
}

function PercentileTable({
  points,
  stepMs,
}: {
  readonly points: PercentileSeries["points"];
  readonly stepMs: number;
}) {
  return (
    <Table<PercentileSeries["points"][number]>
      label="Percentiles over time"
      rows={points}
      rowKey={({ time_ms }) => String(time_ms)}
      columns={[
        { name: "From", cell: ({ time_ms }) => clock(time_ms, stepMs) },
        { name: "n", isNumber: true, cell: (point) => count(point.count) },
        ...LINES.map((line) => ({
          name: line,
          isNumber: true,
          cell: (point: Percentiles) => (point.count > 0 ? duration(point[line]) : ""),
        })),
      ]}
    />
  );
}
