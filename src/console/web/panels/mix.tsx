import type { PathShare } from "../../answers/panels.ts";
import { count, duration, share } from "../format/format.ts";
import { BarHead, Meter } from "../parts/bar.tsx";
import { Empty, Panel } from "../parts/panel.tsx";
import { PathMark } from "../parts/swatch.tsx";
import { Table } from "../parts/table.tsx";
import { go, toggled } from "../state/location.ts";

/** How starts got their VMs, and why not faster. */
export function MixPanel({ mix }: { readonly mix: readonly PathShare[] }) {
  return (
    <Panel
      title="Start paths"
      area="mix"
      by="path"
      note="and why no faster one was taken"
      empty={mix.length === 0 ? <Empty>No VM was started.</Empty> : undefined}
    >
      <div class="scroll">
        <Table
          label="Start paths"
          rows={mix}
          rowKey={({ path }) => path}
          columns={[
            {
              name: "Path",
              cell: ({ path }) => (
                <button
                  type="button"
                  class="quiet"
                  title="Show this start path alone"
                  onClick={() => go({ values: toggled("path", path) })}
                >
                  <PathMark path={path} />
                </button>
              ),
            },
            { name: "Share", isNumber: true, cell: (each) => share(each.share) },
            { name: <BarHead />, cell: (each) => <Meter share={each.share} /> },
            { name: "n", isNumber: true, cell: (each) => count(each.count) },
            { name: "p50", isNumber: true, cell: ({ p50 }) => duration(p50) },
            { name: "p99", isNumber: true, cell: ({ p99 }) => duration(p99) },
            { name: "Why not faster", isWide: true, cell: ({ not_faster }) => <Why reasons={not_faster} /> },
          ]}
        />
      </div>
    </Panel>
  );
}

function Why({ reasons }: { readonly reasons: PathShare["not_faster"] }) {
  const text = reasons.map(
    ({ why, count: number }) => `${why === "" ? "not said" : why.replaceAll("_", " ")} ${count(number)}`,
  );
  return (
    <span class="muted" title={text.join("\n")}>
      {text.join(" · ")}
    </span>
  );
}
