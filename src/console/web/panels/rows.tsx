import type { Row } from "../../answers/operations.ts";
import { duration, times } from "../format/format.ts";
import { ago, exactClock } from "../format/time.ts";
import { Strip } from "../parts/bar.tsx";
import { Empty, Panel } from "../parts/panel.tsx";
import { HopMark, PathMark } from "../parts/swatch.tsx";
import { Table } from "../parts/table.tsx";
import { go, urlOf } from "../state/location.ts";
import { follow } from "./hops.tsx";

/** Ratios from which a hop is said to have taken unusually long. */
const NOTABLE = 1.5;
/** Ratios above this are to next to nothing. */
const RARE = 200;

/** The slowest, with the hop that made each so. */
export function WorstPanel({ rows, noun }: { readonly rows: readonly Row[]; readonly noun: string }) {
  const most = Math.max(1, ...rows.map(({ durationUs }) => durationUs));
  return (
    <Panel
      title={`Slowest ${noun}s`}
      area="worst"
      note="and the hop that dominates"
      empty={rows.length === 0 ? <Empty>None in this period.</Empty> : undefined}
    >
      <div class="scroll">
        <Table
          label={`Slowest ${noun}s`}
          rows={rows}
          columns={[
            {
              name: "Took",
              isNumber: true,
              cell: (row) => <TraceLink row={row}>{duration(row.durationUs)}</TraceLink>,
            },
            { name: "Critical path", isWide: true, cell: (row) => <Path row={row} most={most} /> },
            { name: "Dominated by", cell: (row) => <Dominant row={row} /> },
            { name: "Path", cell: ({ path }) => <PathMark path={path} /> },
            { name: "Host", cell: ({ host }) => host },
            { name: "At", isNumber: true, cell: ({ startUs }) => <When us={startUs} /> },
          ]}
        />
      </div>
    </Panel>
  );
}

/** The latest failures. */
export function FailedPanel({ rows, noun }: { readonly rows: readonly Row[]; readonly noun: string }) {
  return (
    <Panel
      title={`Failed ${noun}s`}
      area="failed"
      by="reason"
      note={rows.length > 0 ? `latest ${rows.length}` : undefined}
      empty={rows.length === 0 ? <Empty>None failed.</Empty> : undefined}
    >
      <div class="scroll">
        <Table
          label={`Failed ${noun}s`}
          rows={rows}
          columns={[
            { name: "Reason", cell: (row) => <TraceLink row={row}>{row.reason}</TraceLink> },
            { name: "After", isNumber: true, cell: ({ durationUs }) => duration(durationUs) },
            { name: "In", cell: (row) => <HopMark hop={row.dominant} /> },
            { name: "Host", cell: ({ host }) => host },
            {
              name: "Image",
              isWide: true,
              cell: ({ image }) => <span title={image}>{shortImage(image)}</span>,
            },
            { name: "At", isNumber: true, cell: ({ startUs }) => <When us={startUs} /> },
          ]}
        />
      </div>
    </Panel>
  );
}

export function TraceLink({ row, children }: { readonly row: Row; readonly children: string }) {
  return (
    <a
      href={urlOf({ trace: row.traceId })}
      title="Open its waterfall"
      onClick={(event) => follow(event, () => go({ trace: row.traceId }))}
    >
      {children}
    </a>
  );
}

function Path({ row, most }: { readonly row: Row; readonly most: number }) {
  const hops = Object.entries(row.hops).map(([hop, us]) => ({ hop, us }));
  return (
    <Strip
      parts={hops.filter(({ hop }) => hop !== "unexplained")}
      unexplainedUs={row.unexplainedUs}
      scaleUs={most}
      label={hops.map(({ hop, us }) => `${hop} ${duration(us)}`).join(", ")}
    />
  );
}

export function Dominant({ row }: { readonly row: Row }) {
  return (
    <span class="dominant">
      <HopMark hop={row.dominant} />
      {row.dominant_ratio > RARE ? (
        <span class="muted" title="the median operation has next to none of it">
          rare
        </span>
      ) : (
        row.dominant_ratio >= NOTABLE && (
          <b class="worse" title="of what it takes in the median operation">
            {times(row.dominant_ratio)}
          </b>
        )
      )}
    </span>
  );
}

function When({ us }: { readonly us: number }) {
  return (
    <span title={`${new Date(us / 1_000).toISOString()}, ${ago(us / 1_000, Date.now())}`}>
      {exactClock(us / 1_000)}
    </span>
  );
}

/** Leaves registry and most of a digest out. */
function shortImage(image: string): string {
  const name = image.split("/").at(-1) ?? image;
  return name.replace(/(sha256:[0-9a-f]{8})[0-9a-f]+/, "$1…");
}
