import { useState } from "preact/hooks";
import type { HeatMap as Heat, Overview } from "../../answers/overview.ts";
import { count, duration } from "../format/format.ts";
import { clock } from "../format/time.ts";
import { Icon } from "../parts/icons.tsx";
import { Empty, Panel } from "../parts/panel.tsx";
import { PathMark } from "../parts/swatch.tsx";
import { Table } from "../parts/table.tsx";
import { inBox } from "../state/command.ts";
import { go, toggled, view } from "../state/location.ts";
import type { Box } from "../state/view.ts";
import { CellList } from "./cell-list.tsx";
import { HeatMap } from "./heat-map.tsx";

/** The heat map with its legend, the box, and the list of a cell. */
export function HeatPanel({ data, noun }: { readonly data: Overview; readonly noun: string }) {
  const [opened, setOpened] = useState<{ box: Box; isFailed: boolean }>();
  const { box } = view.value;
  const { heat } = data;
  return (
    <Panel
      title="Duration over time"
      area="heat"
      note={box ? <BoxNote box={box} /> : "drag a box to see what is different in it"}
      actions={<Legend heat={heat} />}
      table={() => <HeatTable heat={heat} />}
      empty={
        heat.cells.length === 0 && heat.failed.every((each) => each === 0) ? (
          <Empty>No {noun}s in this period.</Empty>
        ) : undefined
      }
    >
      <HeatMap
        heat={heat}
        points={data.points}
        noun={noun}
        onOpen={(chosen, isFailed) => setOpened({ box: chosen, isFailed })}
      />
      {opened && <CellList {...opened} noun={noun} onClose={() => setOpened(undefined)} />}
    </Panel>
  );
}

function BoxNote({ box }: { readonly box: Box }) {
  const zoom = () => go(inBox(view.value, box));
  return (
    <span class="box-note">
      <button type="button" class="chip" onClick={zoom}>
        <Icon name="zoom" /> Zoom in
      </button>
      <button type="button" class="chip" onClick={() => go({ box: undefined })}>
        <Icon name="close" /> Clear box
      </button>
    </span>
  );
}

function Legend({ heat }: { readonly heat: Heat }) {
  const chosen = view.value.values.path ?? [];
  return (
    <ul class="legend" aria-label="Start paths">
      {heat.paths.map((path) => (
        <li key={path}>
          <button
            type="button"
            class="quiet"
            aria-pressed={chosen.includes(path)}
            title={chosen.includes(path) ? "Show all start paths" : "Show this start path alone"}
            onClick={() => go({ values: toggled("path", path) })}
          >
            <PathMark path={path} />
          </button>
        </li>
      ))}
    </ul>
  );
}

function HeatTable({ heat }: { readonly heat: Heat }) {
  const rows = heat.times_ms.map((ms, column) => {
    const cells = heat.cells.filter((cell) => cell[0] === column);
    const total = cells.reduce((sum, cell) => sum + cell[3], 0);
    const slowest = Math.max(-1, ...cells.map((cell) => cell[1]));
    return { ms, total, failed: heat.failed[column] ?? 0, slowest: heat.edges_us[slowest + 1] ?? 0 };
  });
  return (
    <Table
      label="Operations over time"
      rows={rows}
      rowKey={({ ms }) => String(ms)}
      columns={[
        { name: "From", cell: ({ ms }) => clock(ms, heat.step_ms) },
        { name: "Operations", isNumber: true, cell: ({ total }) => count(total) },
        {
          name: "Slowest below",
          isNumber: true,
          cell: ({ total, slowest }) => (total > 0 ? duration(slowest) : ""),
        },
        { name: "Failed", isNumber: true, cell: ({ failed }) => count(failed) },
      ]}
    />
  );
}
