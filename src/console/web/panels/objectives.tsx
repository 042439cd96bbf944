import type { Objective } from "../../answers/overview.ts";
import { count, duration, share, tick } from "../format/format.ts";
import { pathLabel } from "../parts/colors.ts";
import { go } from "../state/location.ts";

/** Above this the budget is gone before the period is over. */
const FAST_BURN = 1;

/** Share of operations within their target, for each start path, and what is left of the error budget. */
export function Objectives({ objectives }: { readonly objectives: readonly Objective[] }) {
  return (
    <section class="objectives area-objectives" aria-label="Objectives">
      {objectives.map((objective) => (
        <Card key={`${objective.kind}/${objective.path}`} objective={objective} />
      ))}
    </section>
  );
}

function Card({ objective }: { readonly objective: Objective }) {
  const { kind, path, target_us, goal, total, within, budget_left, burn } = objective;
  const name = path === "" ? `all ${kind}s` : kind === "start" ? pathLabel(path) : `${kind}s, ${path}`;
  const isMet = total === 0 || within / total >= goal;
  const rates = burn.map(({ period, rate }) => `${rateText(rate)} over ${period}`).join(", ");
  const change = { kind: kind as "start", values: path === "" ? {} : { path: [path] }, box: undefined };
  return (
    <div class={total === 0 ? "card none" : isMet ? "card" : "card missed"}>
      <h2>
        <button
          type="button"
          class="quiet"
          title={`Show ${kind}s of this objective alone`}
          onClick={() => go(change)}
        >
          {name} <small>≤ {tick(target_us)}</small>
        </button>
        {total > 0 && (
          <span class="verdict" title={isMet ? "met" : "missed"}>
            {isMet ? "✓" : "✗"}
            <span class="off-screen">{isMet ? "met" : "missed"}</span>
          </span>
        )}
      </h2>
      <p class="value" title={`${count(within)} of ${count(total)} within ${duration(target_us)}`}>
        {total === 0 ? <span class="muted">none</span> : share(within / total)}{" "}
        <small class="muted">of {share(goal)}</small>
      </p>
      <div class="budget" role="img" aria-label={`Error budget left: ${budgetText(budget_left)}`}>
        <i style={{ width: `${100 * Math.min(1, Math.max(0, budget_left))}%` }} />
      </div>
      <p class="muted">
        <span title="Part of the error budget that is left">
          {total === 0 ? "" : `budget ${budgetText(budget_left)}`}
        </span>
        {total > 0 && burn[0] && (
          <span
            class={burn[0].rate > FAST_BURN ? "burning" : ""}
            title={`How fast the budget is used up; 1×: it lasts exactly the period. ${rates}`}
          >
            burn {rateText(burn[0].rate)}
          </span>
        )}
      </p>
    </div>
  );
}

function rateText(rate: number): string {
  return `${rate.toFixed(rate < 10 ? 1 : 0)}×`;
}

function budgetText(left: number): string {
  if (left < -9.995) return `−${count(-left)}×`;
  const percent = Math.round(left * 100);
  return `${percent < 0 ? "−" : ""}${count(Math.abs(percent))} %`;
}
