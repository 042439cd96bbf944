import type { Overview } from "../../answers/overview.ts";
import { count, duration, tick } from "../format/format.ts";
import { Empty, Panel } from "../parts/panel.tsx";
import { durationTicks } from "../parts/scale.ts";
import { Table } from "../parts/table.tsx";
import { useSize } from "../parts/use-size.ts";
import { go, toggled } from "../state/location.ts";

type Group = Overview["concurrency"][number];

const LEFT = 58;
const BOTTOM = 34;
const TOP = 8;

/** Durations by how many operations were under way: do many at once slow each other down? */
export function ConcurrencyPanel({
  groups,
  noun,
}: {
  readonly groups: readonly Group[];
  readonly noun: string;
}) {
  const filled = groups.filter((group) => group.count > 0);
  return (
    <Panel
      title="Duration against concurrency"
      area="concurrency"
      by="concurrency"
      note={`by ${noun}s under way when one came`}
      table={() => (
        <Table
          label="Duration against concurrency"
          rows={filled}
          rowKey={({ concurrency }) => concurrency}
          columns={[
            { name: "Under way", cell: ({ concurrency }) => concurrency },
            { name: "n", isNumber: true, cell: (group) => count(group.count) },
            { name: "p50", isNumber: true, cell: ({ p50 }) => duration(p50) },
            { name: "p90", isNumber: true, cell: ({ p90 }) => duration(p90) },
            { name: "p99", isNumber: true, cell: ({ p99 }) => duration(p99) },
            { name: "max", isNumber: true, cell: ({ max }) => duration(max) },
          ]}
        />
      )}
      empty={filled.length === 0 ? <Empty>Nothing tells how many were under way.</Empty> : undefined}
    >
      <Boxes groups={filled} />
    </Panel>
  );
}

/** For each group a bar from p50 to p90, a whisker to p99, and a dot at the maximum. */
function Boxes({ groups }: { readonly groups: readonly Group[] }) {
  const [place, { width, height }] = useSize<HTMLDivElement>();
  const low = Math.min(...groups.map(({ p50 }) => p50)) / 1.6;
  const high = Math.max(...groups.map(({ max }) => max)) * 1.15;
  const bottom = height - BOTTOM;
  const y = (us: number) => bottom - (Math.log(us / low) / Math.log(high / low)) * (bottom - TOP);
  const step = (width - LEFT - 8) / groups.length;
  const bar = Math.min(44, step * 0.5);
  return (
    <div ref={place} class="fill">
      {width > 0 && (
        <svg width={width} height={height} role="img" aria-label={describe(groups)}>
          {durationTicks(low, high, 7).map((us) => (
            <g key={us} class="tick">
              <line x1={LEFT} x2={width - 8} y1={y(us)} y2={y(us)} />
              <text x={LEFT - 6} y={y(us) + 4} text-anchor="end">
                {tick(us)}
              </text>
            </g>
          ))}
          {groups.map((group, index) => {
            const x = LEFT + (index + 0.5) * step;
            return (
              // biome-ignore lint/a11y/noStaticElementInteractions: the table does the same by keyboard
              <g
                key={group.concurrency}
                class="range"
                onClick={() => go({ values: toggled("concurrency", group.concurrency) })}
              >
                <title>{describe([group])}</title>
                <rect class="hit" x={x - step / 2} y={0} width={step} height={height} />
                <line class="whisker" x1={x} x2={x} y1={y(group.p90)} y2={y(group.p99)} />
                <line class="whisker" x1={x - bar / 4} x2={x + bar / 4} y1={y(group.p99)} y2={y(group.p99)} />
                <rect
                  class="middle"
                  x={x - bar / 2}
                  y={y(group.p90)}
                  width={bar}
                  height={Math.max(1.5, y(group.p50) - y(group.p90))}
                />
                <line
                  class="median"
                  x1={x - bar / 2 - 3}
                  x2={x + bar / 2 + 3}
                  y1={y(group.p50)}
                  y2={y(group.p50)}
                />
                <circle class="most" cx={x} cy={y(group.max)} r="2.2" />
                <text x={x} y={height - 19} text-anchor="middle">
                  {group.concurrency.replace("-", "–")}
                </text>
                <text class="muted" x={x} y={height - 5} text-anchor="middle">
                  {count(group.count)}
                </text>
              </g>
            );
          })}
        </svg>
      )}
      <p class="chart-note">bar p50 to p90, whisker p99, dot max; counts below</p>
    </div>
  );
}

function describe(groups: readonly Group[]): string {
  return groups
    .map(
      (each) =>
        `${each.concurrency} under way: p50 ${duration(each.p50)}, p90 ${duration(each.p90)}, p99 ${duration(each.p99)}, n ${count(each.count)}`,
    )
    .join("; ");
}
