import { afterEach, expect, test, vi } from "vitest";
import { registry } from "../../lib/otel/metrics.ts";
import { poolMetrics, shapeLabel } from "./pool-metrics.ts";

afterEach(() => vi.useRealTimers());

test("shapes are rounded up to powers of two, so that the number of labels is bounded", () => {
  const labels = [
    { cpus: 1, memoryMb: 256 },
    { cpus: 3, memoryMb: 768 },
    { cpus: 16, memoryMb: 131_072 },
  ].map(shapeLabel);

  expect(labels).toEqual(["1x256", "4x1024", "16x131072"]);
});

test("warm VMs are added up under one label, and hits and misses counted", async () => {
  poolMetrics.waiting({ cpus: 1, memoryMb: 768 }, 2);
  poolMetrics.waiting({ cpus: 1, memoryMb: 1_024 }, 3);
  poolMetrics.waiting({ cpus: 1, memoryMb: 768 }, 1);
  poolMetrics.hit({ cpus: 1, memoryMb: 768 });
  poolMetrics.miss({ cpus: 1, memoryMb: 1_024 });

  const metrics = await registry.metrics();
  expect(metrics).toContain('windhover_pool_size{shape="1x1024"} 4');
  expect(metrics).toContain('windhover_pool_hits_total{shape="1x1024"} 1');
  expect(metrics).toContain('windhover_pool_misses_total{shape="1x1024"} 1');
});

test("reclaimable memory is exposed in bytes", async () => {
  poolMetrics.reclaimable(512);
  expect(await registry.metrics()).toContain("windhover_pool_reclaimable_bytes 536870912");
});

test("the age of the oldest template of a label is exposed until it is removed", async () => {
  vi.useFakeTimers({ now: 1_700_000_100_000, toFake: ["Date"] });
  const [older, newer] = [
    { cpus: 1, memoryMb: 1_280 },
    { cpus: 1, memoryMb: 2_048 },
  ];
  poolMetrics.template(older, 1_700_000_000_000);
  poolMetrics.template(newer, 1_700_000_090_000);
  const both = await registry.metrics();
  poolMetrics.template(older, undefined);
  const one = await registry.metrics();
  poolMetrics.template(newer, undefined);

  expect(both).toContain('windhover_template_age_seconds{shape="1x2048"} 100');
  expect(one).toContain('windhover_template_age_seconds{shape="1x2048"} 10');
  expect(await registry.metrics()).not.toContain("windhover_template_age_seconds{");
});
