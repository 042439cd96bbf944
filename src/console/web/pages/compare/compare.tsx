import type { Comparison } from "../../../../lib/latency/answers.ts";
import { Trouble } from "../../bar/trouble.tsx";
import { change, count, duration, probability, relativeChange } from "../../format/format.ts";
import { Panel } from "../../parts/panel.tsx";
import { HopMark } from "../../parts/swatch.tsx";
import { Table } from "../../parts/table.tsx";
import { go, view } from "../../state/location.ts";
import { comparison } from "../../state/queries.ts";
import { Chooser } from "./chooser.tsx";
import { Distribution } from "./distribution.tsx";
import { namesOf } from "./sets.ts";
import { verdictOf } from "./verdict.ts";

/** Two sets of operations side by side, and whether they differ. */
export function Compare() {
  const { a, b } = view.value;
  const { data, problem, isLoading } = comparison.value;
  const isChosen = a !== "" && b !== "";
  return (
    <div class="compare">
      <Chooser />
      {problem && <Trouble problem={problem} />}
      {!isChosen && (
        <div class="trouble nothing">
          <h1>What to compare?</h1>
          <p class="muted">
            Two periods, two hosts, two versions: choose above. The link of this page keeps the choice.
          </p>
        </div>
      )}
      {isChosen && data && <Result answer={data} />}
      {isChosen && !data && isLoading && <p class="muted loading">Comparing …</p>}
    </div>
  );
}

const LINES = ["p50", "p90", "p99", "max"] as const;

function Result({ answer }: { readonly answer: Comparison }) {
  const { a, b } = view.value;
  const names = namesOf({ a, b });
  const { title, detail } = verdictOf(answer, names);
  return (
    <>
      <section
        class={`verdict-text ${answer.test.verdict.replace(" ", "-")}`}
        aria-label="Verdict"
        aria-live="polite"
      >
        <h1>{title}</h1>
        <p>{detail}</p>
        <p class="muted">
          Mann-Whitney rank test, two-sided, ties corrected; the shift is Hodges and Lehmann's.{" "}
          <button type="button" class="inline" onClick={() => go({ a: b, b: a })}>
            Swap A and B
          </button>
        </p>
      </section>
      <div class="compare-grid">
        <Distribution answer={answer} names={names} />
        <Panel title="Percentiles" area="figures">
          <Table
            label="Percentiles compared"
            rows={LINES}
            rowKey={(line) => line}
            columns={[
              { name: "Percentile", cell: (line) => line },
              { name: `A: ${names[0]}`, isNumber: true, cell: (line) => duration(answer.a[line]) },
              { name: `B: ${names[1]}`, isNumber: true, cell: (line) => duration(answer.b[line]) },
              {
                name: "Change",
                isNumber: true,
                cell: (line) => <Change from={answer.a[line]} to={answer.b[line]} />,
              },
            ]}
          />
          <p class="muted counts">
            n = {count(answer.a.count)} and {count(answer.b.count)}
          </p>
        </Panel>
        <Hops answer={answer} names={names} />
      </div>
    </>
  );
}

function Change({ from, to }: { readonly from: number; readonly to: number }) {
  if (from === 0) return <span class="muted">–</span>;
  const share = to / from - 1;
  const tone = share > 0.02 ? "worse" : share < -0.02 ? "better" : "muted";
  return (
    <span class={tone}>
      {change(to - from)} <small>{relativeChange(share)}</small>
    </span>
  );
}

/** A difference of a hop with a smaller probability is called real. */
const REAL = 0.01;

function Hops({ answer, names }: { readonly answer: Comparison; readonly names: readonly [string, string] }) {
  const rows = [...answer.hops].sort((x, y) => Math.abs(y.b_us - y.a_us) - Math.abs(x.b_us - x.a_us));
  const most = Math.max(1, ...rows.map(({ a_us, b_us }) => Math.abs(b_us - a_us)));
  return (
    <Panel title="Where the difference is" area="hops-compared" note="mean own time on the critical path">
      <div class="scroll">
        <Table
          label="Hops compared"
          rows={rows}
          rowKey={({ hop }) => hop}
          columns={[
            { name: "Hop", cell: ({ hop }) => <HopMark hop={hop} /> },
            { name: `A: ${names[0]}`, isNumber: true, cell: ({ a_us }) => duration(a_us) },
            { name: `B: ${names[1]}`, isNumber: true, cell: ({ b_us }) => duration(b_us) },
            {
              name: "Difference",
              isWide: true,
              cell: ({ a_us, b_us }) => {
                const width = `${(50 * Math.abs(b_us - a_us)) / most}%`;
                const isMore = b_us > a_us;
                return (
                  <span class="diverging" aria-hidden="true">
                    <i
                      class={isMore ? "more" : "less"}
                      style={isMore ? { left: "50%", width } : { right: "50%", width }}
                    />
                  </span>
                );
              },
            },
            { name: "Change", isNumber: true, cell: ({ a_us, b_us }) => change(b_us - a_us) },
            {
              name: <abbr title="How probable such a difference is by chance">Chance</abbr>,
              isNumber: true,
              cell: ({ p }) =>
                p < REAL ? <b>{probability(p)}</b> : <span class="muted">{probability(p)}</span>,
            },
          ]}
        />
      </div>
    </Panel>
  );
}
