import type { Differences } from "../../answers/operations.ts";
import { count, share } from "../format/format.ts";
import { Empty, Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { go, toggled, view } from "../state/location.ts";

type Attribute = Differences["attributes"][number];

/** Attributes that say less than this are noise. */
const LEAST_SCORE = 0.005;
const SHOWN = 12;

interface DifferencesPanelProps {
  readonly differences: Differences | null;
  readonly noun: string;
}

/** What those in the box have in common, and the others do not. */
export function DifferencesPanel({ differences, noun }: DifferencesPanelProps) {
  const { box } = view.value;
  const told = (differences?.attributes ?? []).filter(({ score }) => score >= LEAST_SCORE).slice(0, SHOWN);
  const whose = box ? "in the box" : "slowest tenth";
  return (
    <Panel
      title={box ? "What differs in the box" : "What the slowest tenth shares"}
      area="differences"
      note={differences && `${count(differences.inside)} against ${count(differences.outside)}`}
      table={() => <DifferencesTable attributes={told} whose={whose} />}
      empty={
        told.length > 0 ? undefined : (
          <Empty>No attribute tells {box ? `the ${noun}s in the box` : "slow ones"} from the others.</Empty>
        )
      }
    >
      <div class="difference-key" aria-hidden="true">
        <span>
          <i class="inside" /> {whose}
        </span>
        <span>
          <i class="outside" /> others
        </span>
      </div>
      <ul class="differences">
        {told.map((attribute) => (
          <Difference key={`${attribute.dimension}=${attribute.value}`} attribute={attribute} whose={whose} />
        ))}
      </ul>
    </Panel>
  );
}

function Difference({ attribute, whose }: { readonly attribute: Attribute; readonly whose: string }) {
  const { dimension, value, inside_share, outside_share } = attribute;
  const label = `${share(inside_share)} ${whose}, ${share(outside_share)} of the others`;
  return (
    <li>
      <button
        type="button"
        class="quiet"
        title={`${label}. Click: show ${dimension} ${nameOf(value)} alone`}
        onClick={() => go({ values: toggled(dimension, value), box: undefined })}
      >
        <span class="name">
          <span class="dimension">{dimension}</span> {nameOf(value)}
        </span>
        <span class="pair" aria-hidden="true">
          <i class="inside" style={{ width: `${100 * inside_share}%` }} />
          <i class="outside" style={{ width: `${100 * outside_share}%` }} />
        </span>
        <span class="shares">
          <b>{share(inside_share)}</b> <span class="muted">{share(outside_share)}</span>
        </span>
        <span class="off-screen">{label}</span>
      </button>
    </li>
  );
}

function DifferencesTable({
  attributes,
  whose,
}: {
  readonly attributes: readonly Attribute[];
  readonly whose: string;
}) {
  return (
    <Table
      label="Differences"
      rows={attributes}
      rowKey={({ dimension, value }) => `${dimension}=${value}`}
      columns={[
        { name: "Attribute", isWide: true, cell: ({ dimension, value }) => `${dimension} ${nameOf(value)}` },
        { name: whose, isNumber: true, cell: ({ inside_share }) => share(inside_share) },
        { name: "Others", isNumber: true, cell: ({ outside_share }) => share(outside_share) },
        { name: "Score", isNumber: true, cell: ({ score }) => score.toFixed(3) },
      ]}
    />
  );
}

export function nameOf(value: string): string {
  return value === "" ? "(none)" : value;
}
