import { useMemo } from "preact/hooks";
import type uPlot from "uplot";
import type { Comparison } from "../../../../lib/latency/answers.ts";
import { duration, share } from "../../format/format.ts";
import { color } from "../../parts/colors.ts";
import { Panel } from "../../parts/panel.tsx";
import { axis, durationAxis, durationScale, Plot } from "../../parts/plot.tsx";
import { Table } from "../../parts/table.tsx";

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
          rowKey={([us]) => String(us)}
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
    scales: { x: { time: false, ...durationScale() }, y: { range: [0, 1] } },
    axes: [
      durationAxis({ size: 22 }, 9),
      axis({ size: 46, values: (_, ticks) => ticks.map((each) => `${Math.round(each * 100)} %`) }),
    ],
    series: [
      {},
      { stroke: color("line-a"), width: 1.8, points: { show: false } },
      { stroke: color("line-b"), width: 1.8, dash: [5, 3], points: { show: false } },
    ],
  };
}
