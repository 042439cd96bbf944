import { expect, test } from "vitest";
import { compareToTarget, Report } from "./report.ts";

const ROW = { name: "warm", unit: "ms", n: 200, p50: 42, p90: 60, p99: 160, max: 170 };

test("both parts of a target are compared", () => {
  expect(compareToTarget(ROW, { p50: 60, p99: 150 })).toBe("p50 <= 60 ok, p99 <= 150 MISSED");
  expect(compareToTarget(ROW, { p50: 42 })).toBe("p50 <= 42 ok");
  expect(compareToTarget({ ...ROW, unit: "1/s" }, { p50: 100, atLeast: true })).toBe("p50 >= 100 MISSED");
  expect(compareToTarget(ROW, undefined)).toBe("");
});

test("what could not be measured is listed with the reason and has no figures", () => {
  const report = new Report({ name: "start", title: "Start", floor: "plain", uncompared: ["stop"] });
  report.add("plain", "ms", [1_000]);
  report.add("cold", "ms", [2_000]);
  report.add("stop", "ms", [20]);
  report.add("template", "ms", [], "no start took this path");
  const text = report.text();
  expect(text).toMatch(/^cold .*2\.00x$/m);
  expect(text).toMatch(/^stop .*20\.0$/m);
  expect(text).toContain("absent: template: no start took this path");
  expect(text).not.toMatch(/^template /m);
  expect(report.row("template")).toBeUndefined();
});
