import { expect, test } from "vitest";
import { Report } from "../../lib/report/report.ts";
import { addWakes } from "./summary.ts";

function reportOf(rows: Readonly<Record<string, readonly number[]>>): Report {
  const report = new Report({ name: "test", title: "Test" });
  report.addTimes(rows);
  return report;
}

test("wakes show their parts, what the answer does not tell, and how they compare to a boot by hand", () => {
  const report = reportOf({ wake_http_plain_qemu: [900] });
  const samples = [{ startPath: "warm", ms: 50, queueMs: 1, startMs: 30, readyMs: 12 }];

  addWakes(report, [{ program: "http", startPath: "warm", samples }]);

  expect(report.text()).toMatch(/http warm +1 +50\.0 +1\.00 +30\.0 +12\.0 +7\.00 +1\/18\.0/);
});

test("a path without wakes has no line, and without any there is no table", () => {
  const report = reportOf({ request_direct: [1] });

  addWakes(report, [{ program: "http", startPath: "warm", samples: [] }]);

  expect(report.text()).not.toContain("Where the time of a wake goes");
});

test.each([
  [6_000, "over 5 s"],
  [3_000, "NOT over 5 s"],
])("the target of snapshots supposes a boot over 5 s; with %i ms it says %s", (coldMs, says) => {
  const report = reportOf({ wake_node_cold: [coldMs], wake_node_snapshot: [300] });
  const samples = [{ startPath: "cold", ms: coldMs, queueMs: 0, startMs: 0, readyMs: 0 }];

  addWakes(report, [{ program: "node", startPath: "cold", samples }]);

  expect(report.text()).toContain(`which is ${says}`);
});
