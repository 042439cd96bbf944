import type { HopShares } from "../../answers/panels.ts";
import { count, duration, relativeChange, share } from "../format/format.ts";
import { BarHead, Meter, Stack } from "../parts/bar.tsx";
import { nameHops } from "../parts/colors.ts";
import { Empty, Panel } from "../parts/panel.tsx";
import { HopMark } from "../parts/swatch.tsx";
import { Table } from "../parts/table.tsx";
import { go, toggled, urlOf } from "../state/location.ts";

const TITLES: Readonly<Record<string, string>> = {
  start: "Where a start's time goes",
  create: "Where a create's time goes, by step",
  wake: "Where a wake's time goes: queue, start, readiness, application",
  stop: "Where a stop's time goes",
  suspend: "Where a suspend's time goes",
};

/** The critical path by hop at three percentiles, each bar scaled to its own duration. */
export function HopsPanel({ hops, kind }: { readonly hops: HopShares; readonly kind: string }) {
  nameHops(hops.league.map(({ hop }) => hop));
  return (
    <Panel
      title={TITLES[kind] ?? "Where the time goes"}
      area="hops"
      note="own time on the critical path"
      actions={<FlameLink />}
      table={() => <HopTable hops={hops} />}
      empty={hops.at.every((each) => each.count === 0) ? <Empty>Nothing to take apart.</Empty> : undefined}
    >
      <div class="percentile-bars">
        {hops.at.map((each) => (
          <div key={each.percentile} class="percentile-bar">
            <span class="label">
              <b>{each.percentile}</b> {duration(each.duration_us)}
            </span>
            <Stack
              parts={each.hops.filter(({ hop }) => hop !== "unexplained")}
              unexplainedUs={each.unexplained_us}
              scaleUs={sum(each)}
              label={`${each.percentile}: ${each.hops.map(({ hop, us }) => `${hop} ${duration(us)}`).join(", ")}, unexplained ${duration(each.unexplained_us)}`}
            />
          </div>
        ))}
      </div>
      <League hops={hops} />
    </Panel>
  );
}

/** Apart, because it changes with every view. */
function FlameLink() {
  return (
    <a
      class="chip"
      href={urlOf({ page: "flame" })}
      onClick={(event) => follow(event, () => go({ page: "flame" }))}
    >
      Flame graph
    </a>
  );
}

/** Follows a link within the page, unless the browser is asked for a tab of its own. */
export function follow(event: MouseEvent, open: () => void): void {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  open();
}

function sum({ hops, unexplained_us }: HopShares["at"][number]): number {
  return hops.reduce((total, { us }) => total + us, unexplained_us);
}

function League({ hops }: { readonly hops: HopShares }) {
  const most = Math.max(...hops.league.map((each) => each.share), 0.01);
  return (
    <div class="scroll league">
      <Table
        label="Hops by contribution"
        rows={hops.league}
        rowKey={({ hop }) => hop}
        columns={[
          {
            name: "Hop",
            isWide: true,
            cell: ({ hop }) => (
              <button
                type="button"
                class="quiet"
                title={`Show those that ${hop} dominates`}
                onClick={() => go({ values: toggled("hop", hop) })}
              >
                <HopMark hop={hop} />
              </button>
            ),
          },
          { name: "Share", isNumber: true, cell: (each) => share(each.share) },
          { name: <BarHead />, cell: (each) => <Meter share={each.share / most} /> },
          { name: "Mean", isNumber: true, cell: ({ us }) => duration(us) },
          { name: "p99", isNumber: true, cell: ({ p99_us }) => duration(p99_us) },
          { name: "1 day", isNumber: true, cell: (each) => <Change of={each.since_yesterday} /> },
          { name: "Version", isNumber: true, cell: (each) => <Change of={each.since_version} /> },
        ]}
      />
    </div>
  );
}

/** Changes below this share are not made to stand out. */
const NOTABLE = 0.1;

function Change({ of }: { readonly of: number | null }) {
  if (of === null)
    return (
      <span class="muted" title="nothing to compare with">
        –
      </span>
    );
  const tone = of > NOTABLE ? "worse" : of < -NOTABLE ? "better" : "muted";
  return (
    <span class={tone}>
      {of > NOTABLE ? "▲ " : of < -NOTABLE ? "▼ " : ""}
      {relativeChange(of)}
    </span>
  );
}

function HopTable({ hops }: { readonly hops: HopShares }) {
  const names = [...new Set(hops.at.flatMap((each) => each.hops.map(({ hop }) => hop)))];
  const rows = [...names, "unexplained"].filter((hop, index, all) => all.indexOf(hop) === index);
  const of = (at: HopShares["at"][number], hop: string) =>
    at.hops.find((each) => each.hop === hop)?.us ?? (hop === "unexplained" ? at.unexplained_us : 0);
  return (
    <Table
      label="Critical path by hop"
      rows={rows}
      rowKey={(hop) => hop}
      columns={[
        { name: "Hop", cell: (hop) => hop },
        ...hops.at.map((at) => ({
          name: `${at.percentile} (${count(at.count)})`,
          isNumber: true,
          cell: (hop: string) => duration(of(at, hop)),
        })),
      ]}
    />
  );
}
