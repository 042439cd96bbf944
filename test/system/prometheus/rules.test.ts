import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { ROOT } from "../../../tools/lib/paths.ts";
import { PROMETHEUS, rules } from "./named-metrics.ts";
import { promtool } from "./promtool.ts";

interface RuleTest {
  readonly alert_rule_test?: readonly {
    readonly alertname: string;
    readonly exp_alerts: readonly unknown[];
  }[];
  readonly promql_expr_test?: readonly { readonly expr: string }[];
}

const TESTS = globSync("tests/*.test.yml", { cwd: PROMETHEUS }).sort();
const alerts = rules().flatMap(({ alert }) => alert ?? []);

describe("promtool", () => {
  it("takes the configuration and its rules", async () => {
    expect(await promtool(["check", "config", "prometheus.yml"], PROMETHEUS)).toEqual({
      code: 0,
      output: expect.stringContaining("2 rule files found"),
    });
    expect(
      await promtool(["check", "rules", ...globSync("rules/*.yml", { cwd: PROMETHEUS })], PROMETHEUS),
    ).toMatchObject({
      code: 0,
    });
  });

  it("is documented to run all of the rules' own tests, as the test of that page does", () => {
    const page = readFileSync(join(ROOT, "docs/observability.md"), "utf8");

    expect(page).toContain(
      `promtool test rules ${TESTS.map((file) => `otel/prometheus/${file}`).join(" ")}\n`,
    );
  });
});

describe("the rules' own tests", () => {
  const tests = TESTS.flatMap(
    (file) => (parse(readFileSync(join(PROMETHEUS, file), "utf8")) as { tests: readonly RuleTest[] }).tests,
  );
  const ofAlert = (alert: string) =>
    tests.flatMap((test) => test.alert_rule_test ?? []).filter(({ alertname }) => alertname === alert);

  it.each(alerts)("show a case in which %s fires and one in which it does not", (alert) => {
    const cases = ofAlert(alert).map(({ exp_alerts }) => exp_alerts.length > 0);

    expect(new Set(cases)).toEqual(new Set([true, false]));
  });
});

describe("docs/operations.md", () => {
  const page = readFileSync(join(ROOT, "docs/operations.md"), "utf8");
  /** `| alert | meaning | what to do |` */
  const documented = [...page.matchAll(/^\| `([A-Z]\w+)` \| .{20,} \| .{20,} \|$/gm)].map(([, name]) => name);

  it("says of every alert what it means and what to do, and of no other", () => {
    expect(documented.toSorted()).toEqual(alerts.toSorted());
  });

  it("is where every alert leads", () => {
    for (const { alert, annotations, labels } of rules().filter((rule) => rule.alert !== undefined)) {
      expect([alert, annotations?.["runbook"]]).toEqual([alert, "docs/operations.md#alerts"]);
      expect(["page", "ticket"]).toContain(labels?.["severity"]);
    }
    expect(page).toMatch(/^## Alerts$/m);
  });
});
