import { useMemo } from "preact/hooks";
import type uPlot from "uplot";
import type { Comparison } from "../../answers.ts";
import { duration, share, tick } from "../format/format.ts";
import { color } from "../parts/colors.ts";
import { Panel } from "../parts/panel.tsx";
import { axis, Plot } from "../parts/plot.tsx";
import { Table } from "../parts/table.tsx";

/** Which share of each set took at most how long. */
export function Distribution({
  answer,
  names,
}: {
  readonly answer: Comparison;
  readonly names: readonly [string, string];
}) {
  const { distribution } = answer;
  const data = useMemo(
    () => [0, 1, 2].map((index) => distribution.map((row) => row[index])) as uPlot.AlignedData,
    [distribution],
  );
  return (
    <Panel
      title="Distribution"
      area="distribution"
      note={
        <span class="set-key">
          <i class="set-a" /> A: {names[0]} <i class="set-b" /> B: {names[1]}
        </span>
      }
      table={() => (
        <Table
          label="Cumulative shares"
          rows={distribution}
          key={([us]) => String(us)}
          columns={[
            { name: "Up to", cell: ([us]) => duration(us) },
            { name: "A", isNumber: true, cell: ([, a]) => share(a) },
            { name: "B", isNumber: true, cell: ([, , b]) => share(b) },
          ]}
        />
      )}
    >
      <Plot
        label={`Cumulative shares. A: p50 ${duration(answer.a.p50)}; B: p50 ${duration(answer.b.p50)}`}
        height={250}
        data={data}
        options={options}
      />
    </Panel>
  );
}

function options(): Omit<uPlot.Options, "width" | "height"> {
  return {
    legend: { show: false },
    padding: [8, 14, 0, 0],
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { time: false, distr: 3 }, y: { range: [0, 1] } },
    axes: [
      axis({
        size: 22,
        values: (_, ticks) => ticks.map((us) => (us !== null && isRound(us) ? tick(us) : null)),
      }),
      axis({ size: 46, values: (_, ticks) => ticks.map((each) => `${Math.round(each * 100)} %`) }),
    ],
    series: [
      {},
      { stroke: color("line-a"), width: 1.8, points: { show: false } },
      { stroke: color("line-b"), width: 1.8, dash: [5, 3], points: { show: false } },
    ],
  };
}

function isRound(us: number): boolean {
  const digit = us / 10 ** Math.floor(Math.log10(us) + 1e-9);
  return [1, 2, 5].some((each) => Math.abs(digit - each) < 1e-6);
}
