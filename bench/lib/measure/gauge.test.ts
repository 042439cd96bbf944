import { expect, test } from "vitest";
import { gauge } from "./gauge.ts";

const TEXT = `# HELP windhover_pool_size VMs that wait, booted, by shape.
# TYPE windhover_pool_size gauge
windhover_pool_size{shape="1x256"} 3
windhover_pool_size{shape="2x512"} 1
windhover_pool_size_bytes 7
windhover_ledger_free 12 1700000000000
`;

test("a metric is added up over its labels", () => {
  expect(gauge(TEXT, "windhover_pool_size")).toBe(4);
});

test("a metric may have no labels, and a time behind it", () => {
  expect(gauge(TEXT, "windhover_pool_size_bytes")).toBe(7);
  expect(gauge(TEXT, "windhover_ledger_free")).toBe(12);
});

test("one that is not there is not nothing", () => {
  expect(gauge(TEXT, "windhover_pool")).toBeUndefined();
});
