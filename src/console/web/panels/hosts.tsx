import type { HostRow } from "../../answers/panels.ts";
import { count, duration, times } from "../format/format.ts";
import { Empty, Panel } from "../parts/panel.tsx";
import { HopMark } from "../parts/swatch.tsx";
import { Table } from "../parts/table.tsx";
import { go, toggled } from "../state/location.ts";

/** Deviations above this are called out: 3 robust standard deviations. */
const UNUSUAL = 3;
const HOPS = 6;
/** Ratios from which a cell has the strongest colour. */
const STRONGEST = 4;
/** Ratios nearer to 1 have no colour. */
const NOTABLE = 1.4;
/** Times so small have no ratio worth a colour. */
const SMALL_US = 200;

/** Hosts by how far each is from the others, and each of its hops against the median host. */
export function HostsPanel({ hosts, noun }: { readonly hosts: readonly HostRow[]; readonly noun: string }) {
  const rows = [...hosts].sort((a, b) => Math.abs(b.deviation) - Math.abs(a.deviation));
  const unusual = rows.filter(({ deviation }) => deviation > UNUSUAL);
  const hops = hopsOf(hosts);
  return (
    <Panel
      title="Hosts"
      area="hosts"
      by="host"
      note={
        rows.length > 1 &&
        (unusual.length > 0
          ? `${unusual
              .map(({ host }) => host)
              .slice(0, 3)
              .join(
                ", ",
              )}${unusual.length > 3 ? ` and ${unusual.length - 3} more` : ""} slower than the others`
          : "no host is out of line")
      }
      empty={rows.length === 0 ? <Empty>No {noun} names a host.</Empty> : undefined}
    >
      <div class="scroll hosts">
        <Table
          label="Hosts by deviation"
          rows={rows}
          rowKey={({ host }) => host}
          columns={[
            {
              name: "Host",
              cell: ({ host }) => (
                <button
                  type="button"
                  class="quiet"
                  title="Show this host alone"
                  onClick={() => go({ values: toggled("host", host) })}
                >
                  {host}
                </button>
              ),
            },
            {
              name: (
                <abbr title="Robust z-score of its median: how many standard deviations from the other hosts">
                  Deviation
                </abbr>
              ),
              isNumber: true,
              cell: ({ deviation }) => <Deviation of={deviation} />,
            },
            { name: "n", isNumber: true, cell: (row) => count(row.count) },
            {
              name: "Failed",
              isNumber: true,
              cell: ({ failed }) => (failed === 0 ? <span class="muted">0</span> : count(failed)),
            },
            { name: "p50", isNumber: true, cell: ({ p50 }) => duration(p50) },
            { name: "p99", isNumber: true, cell: ({ p99 }) => duration(p99) },
            ...hops.map((hop) => ({
              name: <HopMark hop={hop} />,
              isNumber: true,
              cell: (row: HostRow) => <HopCell host={row} hop={hop} usual={medianOf(hosts, hop)} />,
            })),
          ]}
        />
      </div>
    </Panel>
  );
}

function Deviation({ of }: { readonly of: number }) {
  const text = `${of > 0 ? "+" : of < 0 ? "−" : ""}${Math.abs(of).toFixed(1)}`;
  if (Math.abs(of) <= UNUSUAL) return <span>{text}</span>;
  return (
    <b class={of > 0 ? "worse" : "better"}>
      {of > 0 ? "▲" : "▼"} {text}
    </b>
  );
}

interface HopCellProps {
  readonly host: HostRow;
  readonly hop: string;
  /** Of the host in the middle. */
  readonly usual: number;
}

/** A hop's mean. One slow host would make the mean of all hosts look slow: the median does not move. */
function HopCell({ host, hop, usual }: HopCellProps) {
  const us = host.hops.find((each) => each.hop === hop)?.us;
  if (us === undefined) return null;
  const ratio = us / Math.max(1, usual);
  const isHot = us >= SMALL_US && ratio >= NOTABLE;
  const weight = isHot ? Math.min(1, Math.log2(ratio) / Math.log2(STRONGEST)) : 0;
  return (
    <span
      class="heat-cell"
      style={{ "--weight": weight.toFixed(2) }}
      title={`${duration(us)} in ${hop}, ${times(ratio)} that of the median host`}
    >
      {duration(us)}
      {isHot && <small> {ratio > 99 ? ">99×" : times(ratio)}</small>}
    </span>
  );
}

function medianOf(hosts: readonly HostRow[], hop: string): number {
  const all = hosts.map(({ hops }) => hops.find((each) => each.hop === hop)?.us ?? 0).sort((a, b) => a - b);
  return all[Math.floor((all.length - 1) / 2)] ?? 0;
}

/** The hops that take most, in the order in which hosts name them. */
function hopsOf(hosts: readonly HostRow[]): readonly string[] {
  const totals = new Map<string, number>();
  for (const { hops } of hosts) for (const { hop, us } of hops) totals.set(hop, (totals.get(hop) ?? 0) + us);
  const largest = [...totals]
    .sort((a, b) => b[1] - a[1])
    .slice(0, HOPS)
    .map(([hop]) => hop);
  return [...totals.keys()].filter((hop) => largest.includes(hop));
}
