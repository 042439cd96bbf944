import { SpanKind } from "@opentelemetry/api";
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { registry } from "../../../src/lib/otel/metrics.ts";
import { startTelemetry } from "../../../src/lib/otel/telemetry.ts";
import { withSpan } from "../../../src/lib/otel/tracing.ts";
import { startRedis, type TestRedis } from "../../support/servers/redis.ts";
import { eventually, startScheduler, TestHost, type TestScheduler } from "./fixture.ts";

const exporter = new InMemorySpanExporter();
startTelemetry({}, [new SimpleSpanProcessor({ exporter })]);

let redis: TestRedis;
let scheduler: TestScheduler;
let hosts: TestHost[];

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());
beforeEach(async () => {
  scheduler = await startScheduler(redis.url);
  await scheduler.ready();
  hosts = [
    new TestHost(1, [scheduler.address], { capacity: { cpus: 1, memoryMb: 1_024, diskMb: 1 } }),
    new TestHost(2, [scheduler.address], { imageLocal: true }),
    new TestHost(3, [scheduler.address], { capacity: { cpus: 1, memoryMb: 1, diskMb: 1 } }),
  ];
  await eventually(() => hosts.every((host) => host.attached())).toBe(true);
  exporter.reset();
  registry.resetMetrics();
});
afterEach(async () => {
  await Promise.all(hosts.map((host) => host.close()));
  await scheduler.close();
});

function spans(name: string): ReadableSpan[] {
  return exporter.getFinishedSpans().filter((span) => span.name === name);
}

function parentOf(span: ReadableSpan | undefined): string | undefined {
  return span?.parentSpanContext?.spanId;
}

test("a reservation is one trace: the auction, a bid below it for each host, the host's own span below that", async () => {
  await withSpan("create", {}, () => scheduler.reserve());

  const [create] = spans("create");
  const [auction, ...others] = spans("scheduler.auction");
  expect(others).toEqual([]);
  expect(auction?.attributes).toMatchObject({
    "windhover.auction.bids_asked": 3,
    "windhover.auction.bids_received": 1,
    "windhover.auction.declines": 2,
    "windhover.auction.image_local": true,
    "windhover.auction.winner": 2,
  });
  const bids = spans("scheduler.bid").toSorted((a, b) => number(a) - number(b));
  expect(bids.map((bid) => [number(bid), bid.attributes["windhover.bid.answer"]])).toEqual([
    [1, "no_disk"],
    [2, "offer"],
    [3, "no_memory"],
  ]);
  for (const bid of bids) expect(parentOf(bid)).toBe(auction?.spanContext().spanId);
  const onHosts = spans("hostd.bid");
  expect(onHosts.map(parentOf).toSorted()).toEqual(bids.map((bid) => bid.spanContext().spanId).toSorted());
  const traces = [auction, ...bids, ...onHosts].map((span) => span?.spanContext().traceId);
  expect(new Set(traces)).toEqual(new Set([create?.spanContext().traceId]));
});

test("a host that attaches, again and again if need be, begins no traces of its own", async () => {
  await Promise.all(hosts.splice(0).map((host) => host.close()));

  const attach = () => spans("windhover.scheduler.v1.SchedulerService/Attach");
  await eventually(() => attach().filter((span) => span.kind === SpanKind.SERVER)).toHaveLength(3);
  expect(attach().filter((span) => span.kind === SpanKind.CLIENT)).toEqual([]);
});

test("auctions, declines and released holds are counted", async () => {
  const { reservation } = await scheduler.reserve();
  await scheduler.release(reservation?.id ?? "");

  const metrics = await registry.metrics();
  expect(metrics).toContain('windhover_auction_duration_seconds_count{outcome="offers"} 1');
  expect(metrics).toContain("windhover_auction_offers_sum 1");
  expect(metrics).toContain("windhover_auction_hosts_asked_sum 3");
  expect(metrics).toContain('windhover_auction_declines_total{reason="no_memory"} 1');
  expect(metrics).toContain('windhover_holds_released_total{cause="released"} 1');
});

function number(span: ReadableSpan): number {
  return Number(span.attributes["windhover.host.id"]);
}
