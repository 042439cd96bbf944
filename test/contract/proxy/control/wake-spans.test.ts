import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { startTelemetry } from "../../../../src/lib/otel/telemetry.ts";
import { RequestTrace } from "../../../../src/proxy/answers/request-trace.ts";
import type { Control } from "../../../../src/proxy/proxy.ts";
import { ControlFixture, machineRoute, routesOf } from "./fixture.ts";

const exporter = new InMemorySpanExporter();
startTelemetry({}, [new SimpleSpanProcessor({ exporter })]);

const FOUND = { app: "web", org: "acme", machineId: "m1" };

let fixture: ControlFixture;
let control: Control;

beforeEach(async () => {
  exporter.reset();
  fixture = await ControlFixture.start();
  fixture.host.add("m1", 20_001);
  fixture.api.routes = [
    { ...routesOf(fixture.host, machineRoute("m1")), beginsAnew: true },
    { position: "p1" },
  ];
  control = await fixture.open();
  await expect.poll(() => control.table.position).not.toBe("");
});
afterEach(() => fixture.close());

/** Asks for a place as a request does, which is answered at once. */
async function request(): Promise<RequestTrace> {
  const trace = new RequestTrace("", "GET");
  const place = await fixture.admit(control, trace);
  trace.placed(place.wake);
  trace.answered(FOUND);
  place.release();
  return trace;
}

test("the start is below the wait of the request that asks first, and those of others link to it", async () => {
  const requests = [request(), request()];
  await expect.poll(() => fixture.host.log).toContainEqual("start m1 proxy true");
  fixture.host.change("m1", { ready: true });
  const [first, second] = await Promise.all(requests);

  const wakes = spans("proxy.wake");
  const [asked, joined] = [first, second].map((trace) =>
    spans("proxy.start").find((span) => span.spanContext().traceId === trace?.traceId),
  );
  expect(wakes.map(({ attributes }) => attributes["windhover.app"])).toEqual(["web", "web"]);
  expect(wakes.map((wake) => wake.spanContext().spanId)).toContain(asked?.parentSpanContext?.spanId);
  expect(fixture.host.traceparents.map((each) => each.split("-")[1])).toEqual([first?.traceId]);
  expect(joined?.links.map(({ context }) => context.spanId)).toEqual([asked?.spanContext().spanId]);
});

test("a start after one that has failed links to it", async () => {
  fixture.host.startFault = new Fault("RESOURCE_EXHAUSTED", "NO_MEMORY", "the host has no memory left");
  await expect(request()).rejects.toThrow("NO_MEMORY");
  fixture.host.startFault = undefined;
  const starts = () => {
    // Requests fail at once while the machine is not started again.
    void request().catch(() => {});
    return fixture.host.log.filter((line) => line.startsWith("start")).length;
  };

  await expect.poll(starts).toBe(2);
  await expect.poll(() => spans("proxy.start").length).toBe(2);

  const [failed, again] = spans("proxy.start");
  expect(failed).toMatchObject({
    status: { code: 2 },
    attributes: { "windhover.error.reason": "NO_MEMORY" },
  });
  expect(again?.links.map(({ context }) => context.spanId)).toEqual([failed?.spanContext().spanId]);
});

function spans(name: string) {
  return exporter.getFinishedSpans().filter((span) => span.name === name);
}
