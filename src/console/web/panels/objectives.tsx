import type { Objective } from "../../answers.ts";
import { count, duration, share } from "../format/format.ts";
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
  const name =
    path === "" ? `all ${kind}s` : kind === "start" ? `${pathLabel(path)} starts` : `${kind}s, ${path}`;
  if (total === 0) {
    return (
      <div class="card none">
        <h3>{name}</h3>
        <p class="value muted">none</p>
        <p class="muted">target {duration(target_us)}</p>
      </div>
    );
  }
  const isMet = within / total >= goal;
  const rates = burn.map(({ period, rate }) => `${rate.toFixed(rate < 10 ? 1 : 0)}× in ${period}`).join(", ");
  const isBurning = burn.some(({ rate }) => rate > FAST_BURN);
  const kindChange = { kind: kind as "start", values: path === "" ? {} : { path: [path] } };
  return (
    <div class={isMet ? "card" : "card missed"}>
      <h3>
        <button
          type="button"
          class="quiet"
          title={`Show ${name} alone`}
          onClick={() => go({ ...kindChange, box: undefined })}
        >
          {name}
        </button>
        <span class="verdict">{isMet ? "✓ met" : "✗ missed"}</span>
      </h3>
      <p class="value">
        {share(within / total)} <small>within {duration(target_us)}</small>
      </p>
      <div
        class="budget"
        role="img"
        aria-label={`Error budget left: ${budgetText(budget_left)}`}
        title={`${count(within)} of ${count(total)} within ${duration(target_us)}; the goal is ${share(goal)}`}
      >
        <i style={{ width: `${100 * Math.min(1, Math.max(0, budget_left))}%` }} />
      </div>
      <p class="muted">
        <span>budget {budgetText(budget_left)}</span>
        <span
          class={isBurning ? "burning" : ""}
          title="How fast the budget is used up; 1×: it lasts exactly the period"
        >
          {rates === "" ? "" : `burns ${rates}`}
        </span>
      </p>
    </div>
  );
}

function budgetText(left: number): string {
  if (left < -9.99) return "overdrawn";
  return left < 0 ? `${Math.round(-left * 100)} % over` : `${Math.round(left * 100)} % left`;
}
