import type { HrTime } from "@opentelemetry/api";
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import type { MachineState } from "../../../src/hostd/machines/states.ts";
import { nowUs } from "../../../src/lib/otel/span-times.ts";
import { startTelemetry } from "../../../src/lib/otel/telemetry.ts";
import { startHost, type TestHost } from "./fixture.ts";
import { present } from "./requests.ts";

const SIGKILL = 9;

const exporter = new InMemorySpanExporter();
startTelemetry({}, [new SimpleSpanProcessor({ exporter })]);

let host: TestHost;
beforeAll(async () => {
  host = await startHost({ latencyMs: 200 });
});
afterAll(() => host.close());
beforeEach(() => exporter.reset());

function ms([seconds, nanos]: HrTime): number {
  return seconds * 1_000 + nanos / 1e6;
}

/** Returns the share of a span during which at least one of its children runs. */
function covered(parent: ReadableSpan, spans: readonly ReadableSpan[]): number {
  const below = spans
    .filter(({ parentSpanContext }) => parentSpanContext?.spanId === parent.spanContext().spanId)
    .map(({ startTime, endTime }) => [ms(startTime), ms(endTime)] as const)
    .sort(([a], [b]) => a - b);
  let until = ms(parent.startTime);
  let sum = 0;
  for (const [from, to] of below) {
    sum += Math.max(0, Math.min(to, ms(parent.endTime)) - Math.max(from, until));
    until = Math.max(until, to);
  }
  return sum / (ms(parent.endTime) - ms(parent.startTime));
}

function named(name: string): ReadableSpan {
  const span = exporter.getFinishedSpans().find((one) => one.name === name);
  if (!span) throw new Error(`there is no span ${name}`);
  return span;
}

test("the spans of a start explain at least 95 % of its time, down to the VMM's phases", async () => {
  const { id } = await host.created();
  const startAgain = async () => {
    await host.stop(id);
    exporter.reset();
    await host.start(id);
    const spans = exporter.getFinishedSpans();
    const server = spans.find(({ name, kind }) => name.endsWith("HostService/StartMachine") && kind === 1);
    if (!server) throw new Error("there is no server span");
    return { server, start: named("hostd.start"), spans };
  };
  await host.start(id);

  // On a loaded machine a start may wait for a CPU between two spans; a missing span is missing every time.
  await expect
    .poll(async () => {
      const { server, start, spans } = await startAgain();
      return Math.min(covered(server, spans), covered(start, spans));
    })
    .toBeGreaterThan(0.95);

  const { server, start } = await startAgain();
  expect(start.parentSpanContext?.spanId).toBe(server.spanContext().spanId);
  expect(start.attributes).toMatchObject({
    ...{ "windhover.machine.id": id, "windhover.start.path": "cold", "windhover.start.cause": "call" },
    ...{ "windhover.org": expect.any(String), "windhover.app": expect.any(String) },
    "windhover.image.reference": expect.stringContaining("/"),
    "windhover.machine.size": expect.stringMatching(/^shared-\d+x-\d+$/),
    "windhover.operation.concurrency": 0,
  });
  const acquire = named("hostd.acquire");
  expect(acquire.attributes).toMatchObject({ "windhover.start.path": "cold" });
  expect(named("sim.launch").parentSpanContext?.spanId).toBe(acquire.spanContext().spanId);
  expect(named("hostd.admit").attributes).toMatchObject({ "windhover.start.queue_length": 0 });
  expect(named("hostd.store").parentSpanContext?.spanId).toBe(start.spanContext().spanId);
});

test("a machine names the trace of its last start", async () => {
  const { id } = await host.created();

  await host.start(id);

  expect((await host.get(id)).lastStartTraceId).toBe(named("hostd.start").spanContext().traceId);
});

test("a start that fails has the reason in its span", async () => {
  const { id } = await host.created({ exec: ["sim-exec-fail", "not_found"] });

  await host.start(id).catch(() => {});

  expect(named("hostd.start").attributes["windhover.error.reason"]).toBe("EXEC_FAILED");
});

test("a start of a machine that runs says that there was nothing to do", async () => {
  const { id } = await host.created();
  await host.start(id);
  exporter.reset();

  await host.start(id);

  const served = exporter
    .getFinishedSpans()
    .find(({ name, kind }) => name.endsWith("/StartMachine") && kind === 1);
  expect(served?.attributes["windhover.operation.already"]).toBe(true);
});

test("a stop has a span with its store, its grace, and its kill when that was needed", async () => {
  const { id } = await host.created({ exec: ["sim-signal-ignore"] });
  await host.start(id);
  exporter.reset();

  await host.stop(id, { timeoutMs: 1 });

  const stop = named("hostd.stop");
  const below = exporter
    .getFinishedSpans()
    .filter(({ parentSpanContext }) => parentSpanContext?.spanId === stop.spanContext().spanId);
  expect(below.map(({ name }) => name)).toEqual(["hostd.store", "hostd.grace", "hostd.kill"]);
  expect(stop.attributes).toMatchObject({
    ...{ "windhover.machine.id": id, "windhover.org": expect.any(String) },
    "windhover.operation.concurrency": 0,
  });
});

test("stops and suspends say how many of their kind were under way when they came", async () => {
  // A stop ends when a test says so.
  const created = () => host.created({ exec: ["sim-signal-ignore"] });
  const ids = [(await created()).id, (await created()).id, (await created()).id];
  const concurrency = (name: string) =>
    exporter
      .getFinishedSpans()
      .filter((span) => span.name === name)
      .map(({ attributes }) => Number(attributes["windhover.operation.concurrency"]))
      .toSorted((a, b) => a - b);
  const all = (state: MachineState) => ids.every((id) => host.store.get(id)?.state === state);
  await Promise.all(ids.map((id) => host.start(id)));
  const save = host.sim.hold("save");
  const suspends = ids.map((id) => host.suspend(id));
  await expect.poll(() => all("suspending")).toBe(true);
  save();
  await Promise.all(suspends);
  expect(concurrency("hostd.suspend")).toEqual([0, 1, 2]);

  await Promise.all(ids.map((id) => host.start(id)));
  const stops = ids.map((id) => host.stop(id, { timeoutMs: 100_000 }));
  await expect.poll(() => all("stopping")).toBe(true);
  for (const id of ids) await present(host.sim.vm(host.store.get(id)?.vmId ?? "")).signal(SIGKILL);
  await Promise.all(stops);
  expect(concurrency("hostd.stop")).toEqual([0, 1, 2]);

  exporter.reset();
  await Promise.all(ids.map((id) => host.start(id)));
  await host.stop(ids[0] ?? "", { timeoutMs: 1 });
  expect(concurrency("hostd.stop")).toEqual([0]);
});

test("a start by the policy links to the start before it", async () => {
  const { id } = await host.created({
    exec: ["sim-exit", "1", "sim-run-for", "5"],
    config: { restart: { policy: "always" } },
  });

  await host.start(id, { watchMs: 0 });

  const starts = () => exporter.getFinishedSpans().filter(({ name }) => name === "hostd.start");
  await expect.poll(() => starts().length, { timeout: 20_000 }).toBeGreaterThan(1);
  const [first, second] = starts();
  expect(first?.links).toEqual([]);
  expect(second?.attributes["windhover.start.cause"]).toBe("policy");
  expect(second?.spanContext().traceId).not.toBe(first?.spanContext().traceId);
  expect(second?.links.map(({ context }) => [context.traceId, context.spanId])).toEqual([
    [first?.spanContext().traceId, first?.spanContext().spanId],
  ]);
  await host.stop(id);
});

test("a start that waits for a slot has a span for that, and one that does not has none of that time", async () => {
  const crowded = await startHost({ settings: { startConcurrency: 1, name: "crowded" } });
  onTestFinished(() => crowded.close());
  const [one, other] = [(await crowded.created()).id, (await crowded.created()).id];
  const { starts: queue } = crowded.host;
  exporter.reset();

  const launch = crowded.sim.hold("launch");
  const first = crowded.start(one);
  await expect.poll(() => queue.running).toBe(1);
  const second = crowded.start(other);
  await expect.poll(() => queue.length).toBe(1);
  const releasedMs = nowUs() / 1_000;
  launch();
  await Promise.all([first, second]);

  // Machines of other tests may be started by their policy meanwhile.
  const isCrowded = ({ attributes }: ReadableSpan) => attributes["windhover.host.name"] === "crowded";
  const spans = exporter.getFinishedSpans();
  const starts = spans.filter((span) => span.name === "hostd.start" && isCrowded(span));
  expect(starts.map(({ attributes }) => attributes["windhover.operation.concurrency"])).toEqual([0, 1]);
  const waits = spans.filter(
    ({ name, startTime, endTime }) =>
      name === "hostd.start_queue" && ms(startTime) <= releasedMs && releasedMs <= ms(endTime),
  );
  expect(waits).toHaveLength(1);
  expect(waits[0]?.spanContext().traceId).toBe(starts[1]?.spanContext().traceId);
});

test("a second start of a machine joins the first, and its call says so", async () => {
  const { id } = await host.created();
  exporter.reset();

  const launch = host.sim.hold("launch");
  const both = [host.start(id), host.start(id)];
  // Calls of one connection arrive in their order.
  await host.get(id);
  await host.get(id);
  launch();
  await Promise.all(both);

  const spans = exporter.getFinishedSpans();
  const served = spans.filter(({ name, kind }) => name.endsWith("/StartMachine") && kind === 1);
  expect(served.map(({ attributes }) => attributes["windhover.operation.joined"] ?? false).sort()).toEqual([
    false,
    true,
  ]);
  expect(spans.filter(({ name }) => name === "hostd.start")).toHaveLength(1);
});
