import { SpanKind } from "@opentelemetry/api";
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startTelemetry } from "../../../src/lib/otel/telemetry.ts";
import { withSpan } from "../../../src/lib/otel/tracing.ts";
import { type TestApi, World } from "./fixture.ts";

const exporter = new InMemorySpanExporter();
startTelemetry({}, [new SimpleSpanProcessor({ exporter })]);

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api();
  await api.user.createApp("web");
});
afterAll(() => world.close());
beforeEach(() => exporter.reset());

/** What belongs to the trace of `root`, by name, without the database's. */
function traceOf(root: string): ReadableSpan[] {
  const spans = exporter.getFinishedSpans();
  const traceId = spans.find((span) => span.name === root)?.spanContext().traceId;
  return spans.filter(
    (span) => span.spanContext().traceId === traceId && !("db.system.name" in span.attributes),
  );
}

test("a create is one trace: preflight, each step, and every call it makes", async () => {
  const { machine } = await withSpan("test", {}, () => api.user.create({ skipLaunch: false }));

  const spans = traceOf("test");
  const names = spans.map((span) => span.name);
  expect(names).toEqual(
    expect.arrayContaining(["api.create", "api.preflight", "api.resolve_image", "saga.create"]),
  );
  const steps = ["resolve", "reserve", "award", "release", "prepare", "commit", "launch"];
  expect(names).toEqual(expect.arrayContaining(steps.map((step) => `saga.create.${step}`)));
  expect(names).toContain("windhover.hostd.v1.HostService/PrepareMachine");
  expect(spans.find((span) => span.name === "saga.create.award")?.attributes).toMatchObject({
    "windhover.machine.id": machine?.id,
    "windhover.host.name": "host-1",
  });
  expect(machine?.createTraceId).toBe(spans[0]?.spanContext().traceId);
});

test("a start is the client's span, the api's and its work, and those of the call to the host: nothing else", async () => {
  const { machine } = await api.user.create();
  exporter.reset();

  await withSpan("test", {}, () => api.user.start(machine?.id ?? ""));

  const names = () => exporter.getFinishedSpans().map((span) => span.name);
  const host = "windhover.hostd.v1.HostService/StartMachine";
  const public_ = "windhover.machines.v1.MachinesService/StartMachine";
  await expect
    .poll(() =>
      traceOf("test")
        .map((span) => span.name)
        .sort(),
    )
    .toEqual(["api.start", "test", host, host, public_, public_].sort());
  expect(names().some((name) => name.startsWith("SELECT"))).toBe(false);
  const attributesOf = (name: string, kind: SpanKind) =>
    traceOf("test").find((span) => span.name === name && span.kind === kind)?.attributes;
  expect(attributesOf(public_, SpanKind.SERVER)).toMatchObject({
    "windhover.machine.id": machine?.id,
    "windhover.handler.began_us": expect.any(Number),
    "windhover.handler.done_us": expect.any(Number),
  });
  expect(attributesOf("api.start", SpanKind.INTERNAL)).toEqual({ "windhover.host.name": "host-1" });
});
