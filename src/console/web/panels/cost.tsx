import type { Overview } from "../../answers/overview.ts";
import { bytes, count, duration } from "../format/format.ts";
import { ago } from "../format/time.ts";
import { Panel } from "../parts/panel.tsx";

/** A clock that is further off is worth a word. */
const NOTABLE_SKEW_US = 5_000;

/** What looking costs, and how far it can be trusted. */
export function CostPanel({ data }: { readonly data: Overview }) {
  const { dropped_spans, lag_ms, skew_us, disk_bytes } = data.cost;
  const hasOperations = data.matching > 0;
  const facts: readonly (readonly [string, string, string, boolean])[] = [
    [
      "Dropped spans",
      dropped_spans === null ? "–" : count(dropped_spans),
      dropped_spans === null
        ? "only operators are told"
        : dropped_spans === 0
          ? "every trace is whole"
          : "traces may have gaps",
      (dropped_spans ?? 0) > 0,
    ],
    [
      "Export lag",
      hasOperations ? duration(lag_ms.p50 * 1_000) : "–",
      hasOperations ? `p99 ${duration(lag_ms.p99 * 1_000)}` : "",
      false,
    ],
    [
      "Clock skew",
      hasOperations ? duration(skew_us.p50) : "–",
      hasOperations ? `p99 ${duration(skew_us.p99)}, corrected` : "",
      skew_us.p99 > NOTABLE_SKEW_US,
    ],
    [
      "On disk",
      disk_bytes === null ? "–" : bytes(disk_bytes),
      `${count(data.kept)} kept, oldest ${data.kept > 0 ? ago(data.oldest_ms, data.until_ms) : "none"}`,
      false,
    ],
  ];
  return (
    <Panel title="Cost of looking" area="cost">
      <dl class="facts">
        {facts.map(([name, value, note, isNotable]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <b class={isNotable ? "worse" : ""}>{value}</b> <span class="muted">{note}</span>
            </dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}
