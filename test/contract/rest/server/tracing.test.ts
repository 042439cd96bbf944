import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTelemetry } from "../../../../src/lib/otel/telemetry.ts";
import { type TestApi, World } from "../../api/fixture.ts";
import { restClient } from "../client.ts";

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

test.each([
  ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
  ["b3", "463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-1"],
])(
  "a start with a %s header is one trace: the caller's, the request, the call, the host's",
  async (name, value) => {
    const send = await restClient(api.restAddress);
    const { machine } = await api.user.create({ skipLaunch: true });
    exporter.reset();

    const { status, headers } = await send("POST", `/v1/apps/web/machines/${machine?.id}/start`, undefined, {
      [name]: value,
    });

    expect(status).toBe(200);
    const traceId = headers.get("fly-trace-id") ?? "";
    expect(value).toContain(traceId);
    const spans = () => exporter.getFinishedSpans().filter((span) => span.spanContext().traceId === traceId);
    const route = "POST /v1/apps/:app/machines/:id/start";
    await expect.poll(() => spans().map((span) => span.name)).toContain(route);
    const request = spans().find((span) => span.name === route);
    const rpc = spans().find((span) => span.name === "windhover.machines.v1.MachinesService/StartMachine");
    expect(request?.attributes).toMatchObject({ "http.response.status_code": 200 });
    expect(value).toContain(request?.parentSpanContext?.spanId);
    expect(rpc?.parentSpanContext?.spanId).toBe(request?.spanContext().spanId);
    expect(spans().map((span) => span.name)).toContain("windhover.hostd.v1.HostService/StartMachine");
  },
);
