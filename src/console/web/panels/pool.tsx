import { useMemo } from "preact/hooks";
import type uPlot from "uplot";
import type { Overview } from "../../answers/overview.ts";
import { count, duration, share } from "../format/format.ts";
import { clock } from "../format/time.ts";
import { color } from "../parts/colors.ts";
import { Empty, Panel } from "../parts/panel.tsx";
import { axis, Plot } from "../parts/plot.tsx";
import { Table } from "../parts/table.tsx";
import { timeOptions, timeValues, zoomTime } from "./percentiles.tsx";

/** The warm pool as starts found it. */
export function PoolPanel({ data }: { readonly data: Overview }) {
  const { hits, misses, points, refill } = data.pool;
  const asked = hits + misses;
  const table = useMemo(
    (): uPlot.AlignedData => [
      points.map(({ time_ms }) => time_ms / 1_000),
      points.map((point) => (point.size < 0 ? null : point.size)),
      points.map((point) =>
        point.hits + point.misses === 0 ? null : point.misses / (point.hits + point.misses),
      ),
    ],
    [points],
  );
  return (
    <Panel
      title="Warm pool"
      area="pool"
      note={
        asked > 0 && (
          <>
            {share(hits / asked)} hits, {count(misses)} misses
            {refill.count > 0 &&
              `; refilled in ${duration(refill.p50)} at p50, ${duration(refill.p99)} at p99`}
          </>
        )
      }
      table={() => (
        <Table
          label="Warm pool over time"
          rows={points}
          rowKey={({ time_ms }) => String(time_ms)}
          columns={[
            { name: "From", cell: ({ time_ms }) => clock(time_ms) },
            { name: "VMs", isNumber: true, cell: ({ size }) => (size < 0 ? "" : size.toFixed(1)) },
            { name: "Hits", isNumber: true, cell: (point) => count(point.hits) },
            { name: "Misses", isNumber: true, cell: (point) => count(point.misses) },
          ]}
        />
      )}
      empty={asked === 0 ? <Empty>No start asked the warm pool.</Empty> : undefined}
    >
      <ChartKey
        entries={[
          ["VMs in the pool", "line-a", ""],
          ["share of misses", "line-b", "4 3"],
        ]}
      />
      <Plot
        label={`Warm pool: ${count(hits)} hits, ${count(misses)} misses`}
        data={table}
        onRange={zoomTime}
        options={() => ({
          ...timeOptions(),
          padding: [6, 0, 0, 0],
          scales: {
            x: { time: true },
            y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] },
            share: { range: [0, 1] },
          },
          axes: [
            axis({ size: 18, values: timeValues }),
            axis({ size: 34, incrs: [1, 2, 5, 10, 20, 50, 100] }),
            axis({
              size: 40,
              side: 1,
              scale: "share",
              grid: { show: false },
              values: (_, ticks) => ticks.map((each) => `${Math.round(each * 100)} %`),
              space: 40,
            }),
          ],
          series: [
            {},
            { stroke: color("line-a"), width: 1.6, points: { show: false } },
            { scale: "share", stroke: color("line-b"), width: 1.4, dash: [4, 3], points: { show: false } },
          ],
        })}
      />
    </Panel>
  );
}

/** Starts that waited when a start came. */
export function QueuePanel({ data }: { readonly data: Overview }) {
  const { queue } = data;
  const most = Math.max(0, ...queue.map(({ max }) => max));
  const table = useMemo(
    (): uPlot.AlignedData => [
      queue.map(({ time_ms }) => time_ms / 1_000),
      queue.map(({ mean }) => mean),
      queue.map(({ max }) => max),
    ],
    [queue],
  );
  return (
    <Panel
      title="Start queue"
      area="queue"
      by="queue"
      note={
        most === 0
          ? "no start found another waiting"
          : `starts that waited when one came; at most ${count(most)}`
      }
      table={() => (
        <Table
          label="Start queue over time"
          rows={queue}
          rowKey={({ time_ms }) => String(time_ms)}
          columns={[
            { name: "From", cell: ({ time_ms }) => clock(time_ms) },
            { name: "Mean", isNumber: true, cell: ({ mean }) => mean.toFixed(2) },
            { name: "Max", isNumber: true, cell: ({ max }) => count(max) },
          ]}
        />
      )}
      empty={queue.length === 0 ? <Empty>No host told how many waited.</Empty> : undefined}
    >
      <ChartKey
        entries={[
          ["mean", "line-a", ""],
          ["max", "line-b", "4 3"],
        ]}
      />
      <Plot
        label={`Start queue: at most ${count(most)} waited`}
        data={table}
        onRange={zoomTime}
        options={() => ({
          ...timeOptions(),
          scales: { x: { time: true }, y: { range: (_, __, top) => [0, Math.max(1, top * 1.1)] } },
          axes: [
            axis({ size: 18, values: timeValues }),
            axis({ size: 34, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500] }),
          ],
          series: [
            {},
            { stroke: color("line-a"), fill: color("fill"), width: 1.6, points: { show: false } },
            { stroke: color("line-b"), width: 1.2, dash: [4, 3], points: { show: false } },
          ],
        })}
      />
    </Panel>
  );
}

function ChartKey({ entries }: { readonly entries: readonly (readonly [string, string, string])[] }) {
  return (
    <ul class="chart-key" aria-hidden="true">
      {entries.map(([name, line, dash]) => (
        <li key={name}>
          <svg width="18" height="8" aria-hidden="true">
            <line
              x1="0"
              x2="18"
              y1="4"
              y2="4"
              stroke={`var(--${line})`}
              stroke-width="2"
              stroke-dasharray={dash}
            />
          </svg>
          {name}
        </li>
      ))}
    </ul>
  );
}
