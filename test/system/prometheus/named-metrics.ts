import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ROOT } from "../../../tools/lib/paths.ts";

/** What a rule file says of one rule: a figure that is recorded, or an alert. */
export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export const PROMETHEUS = join(ROOT, "otel/prometheus");

/** Metrics of `otel/collector.yaml`, which this project does not start: `npm run test:otel` looks at these. */
export const OF_THE_COLLECTOR = /^(otelcol|traces_span_metrics)_/;

/** Metrics that a fleet with simulated VMs has no values of. `test/e2e/fleet/fleet.test.ts` looks at these. */
export const OF_REAL_VMS: readonly string[] = [
  "windhover_pool_hits_total",
  "windhover_pool_misses_total",
  "windhover_pool_size",
  "windhover_template_age_seconds",
];

/** What rules record of those. */
export const RECORDED_OF_REAL_VMS: readonly string[] = ["windhover_pool:hit_ratio5m"];

/** Metrics that have values after faults only: a step of a saga that has to be done or undone once more. */
export const AFTER_FAULTS: readonly string[] = [
  "windhover_saga_steps_retried_total",
  "windhover_saga_steps_stuck_total",
];

/** All rules of `otel/prometheus/rules`. */
export function rules(): readonly Rule[] {
  return globSync("rules/*.yml", { cwd: PROMETHEUS }).flatMap((file) =>
    (
      parse(readFileSync(join(PROMETHEUS, file), "utf8")) as { groups: readonly { rules: readonly Rule[] }[] }
    ).groups.flatMap((group) => group.rules),
  );
}

/** All metrics that a dashboard or a rule names, those that rules record included. */
export function namedMetrics(): readonly string[] {
  const expressions = [...rules().map(({ expr }) => expr), ...dashboardExpressions()];
  return [...new Set(expressions.flatMap(metricsIn))].sort();
}

/** The PromQL of all dashboards, and of their variables. */
export function dashboardExpressions(): readonly string[] {
  const folder = join(ROOT, "otel/grafana/dashboards");
  const found: string[] = [];
  for (const file of globSync("*.json", { cwd: folder }))
    JSON.parse(readFileSync(join(folder, file), "utf8"), (key, value: unknown) => {
      if ((key === "expr" || key === "definition") && typeof value === "string") found.push(value);
      return value;
    });
  return found;
}

const KEYWORDS = new Set(["and", "or", "unless", "bool", "offset", "inf", "nan"]);

/** The names of metrics in an expression: what is neither a function, a label, a keyword nor a number. */
export function metricsIn(expression: string): readonly string[] {
  const bare = expression
    .replace(/^label_values\((.*),\s*\w+\)$/s, "$1")
    .replace(/"(?:[^"\\]|\\.)*"/g, "")
    .replace(/\{[^{}]*\}|\[[^\]]*\]/g, "")
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, "");
  return [...bare.matchAll(/(?<![\w.:])[a-zA-Z_:][\w:]*(?!\w*\s*\()/g)]
    .map(([name]) => name)
    .filter((name) => !KEYWORDS.has(name.toLowerCase()));
}
