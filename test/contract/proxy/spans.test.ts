import { once } from "node:events";
import { connect } from "node:net";
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startTelemetry } from "../../../src/lib/otel/telemetry.ts";
import { TestProxy, unusedPort } from "./fixture.ts";

const exporter = new InMemorySpanExporter();
startTelemetry({}, [new SimpleSpanProcessor({ exporter })]);

const RAW = { handlers: [] };
const WAKE = { path: "cold", queueMs: 1, startMs: 2, readyMs: 3, traceId: "" };

let proxy: TestProxy;
let port: number;

beforeEach(async () => {
  proxy = await TestProxy.start();
  port = await unusedPort();
  await proxy.startPorts().set(new Set([port]));
  exporter.reset();
});
afterEach(() => proxy.close());

test("a connection that passes through has spans of itself, its wake and the program", async () => {
  const machine = await proxy.rawMachine((socket) => socket.end("bye"));
  await proxy.app("raw", [machine], { port, service: RAW, wake: WAKE });

  const client = connect({ port, host: "127.0.0.1" });
  client.resume();
  await once(client, "end");
  client.destroy();

  await expect.poll(() => named("proxy.connection")).toBeDefined();
  const [connection, wake] = [named("proxy.connection"), named("proxy.wake")];
  expect(connection?.attributes).toMatchObject({
    ...{ "network.transport": "tcp", "server.port": port, "windhover.app": "raw" },
    "windhover.machine.id": machine.id,
  });
  expect(wake?.parentSpanContext?.spanId).toBe(connection?.spanContext().spanId);
  expect(below("proxy.wake").sort()).toEqual([
    ...["proxy.application", "proxy.queue", "proxy.readiness", "proxy.start"],
  ]);
});

test("a connection that no machine takes is an error with its reason", async () => {
  await proxy.app("raw", [{ id: "m", port: await unusedPort() }], {
    port,
    service: { ...RAW, wakeTimeoutMs: 1 },
  });

  const client = connect({ port, host: "127.0.0.1" });
  client.on("error", () => {}).resume();
  await expect.poll(() => client.closed).toBe(true);

  await expect.poll(() => named("proxy.connection")).toBeDefined();
  expect(named("proxy.connection")).toMatchObject({
    status: { code: 2 },
    attributes: { "error.type": "UNREACHABLE" },
  });
  expect(named("proxy.application")?.status.code).toBe(2);
});

function named(name: string) {
  return exporter.getFinishedSpans().find((span) => span.name === name);
}

/** Returns the names of the spans below one. */
function below(name: string): string[] {
  const id = named(name)?.spanContext().spanId;
  const spans = exporter
    .getFinishedSpans()
    .filter(({ parentSpanContext }) => parentSpanContext?.spanId === id);
  return spans.map((span) => span.name);
}
