import { once } from "node:events";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { type EchoHandlers, echo, patientCall } from "../../../test/support/net/echo.ts";
import { Fault } from "../faults/fault.ts";
import { addHealth, Health } from "../grpc/builtin/health.ts";
import { call, openStream } from "../grpc/client.ts";
import { betweenTimes } from "../grpc/observed/handler-times.ts";
import { serverStream, unary } from "../grpc/server/rpc.ts";
import { registry } from "./metrics.ts";
import { collectSpans, exporter, ms, only, wholeUs } from "./tracing.fixture.ts";
import { activeTraceparent, attribute, withSpan } from "./tracing.ts";

collectSpans();

const soon = { timeoutMs: 15_000 };
const NAME = "test.v1.Echo/One";

describe("a call", () => {
  test("gives a client and a server span, linked, with the current names, and one measurement each", async () => {
    await using service = await echo({ one: unary((req) => withSpan("handler", {}, async () => req)) });

    await withSpan("root", {}, () => call(service.client, service.client.one, { text: "" }, soon));

    const client = only(NAME, SpanKind.CLIENT);
    const server = only(NAME, SpanKind.SERVER);
    expect(client.parentSpanContext?.spanId).toBe(only("root").spanContext().spanId);
    expect(server.parentSpanContext?.spanId).toBe(client.spanContext().spanId);
    expect(only("handler").parentSpanContext?.spanId).toBe(server.spanContext().spanId);
    expect(server.attributes).toEqual({
      "rpc.system.name": "grpc",
      "rpc.method": NAME,
      "rpc.status_code": "OK",
    });
    expect(client.attributes).toEqual({
      ...server.attributes,
      "server.address": "127.0.0.1",
      "server.port": service.close.port,
    });
    const metrics = await registry.metrics();
    const labels = `{rpc_method="${NAME}",rpc_status_code="OK"}`;
    expect(metrics).toContain(`rpc_server_call_duration_seconds_count${labels} 1`);
    expect(metrics).toContain(`rpc_client_call_duration_seconds_count${labels} 1`);
  });

  test.each([
    ["NOT_FOUND", "UNSET"],
    ["INTERNAL", "ERROR"],
    ["UNAVAILABLE", "ERROR"],
    ["RESOURCE_EXHAUSTED", "UNSET"],
  ] as const)(
    "that fails with %s: the client's span is an error, the server's is %s",
    async (code, status) => {
      await using service = await echo({ one: unary(() => Promise.reject(new Fault(code, "X", "x"))) });

      await call(service.client, service.client.one, { text: "" }, soon).catch(() => {});

      expect(only(NAME, SpanKind.CLIENT).status.code).toBe(SpanStatusCode.ERROR);
      const server = only(NAME, SpanKind.SERVER);
      expect(server.status.code).toBe(SpanStatusCode[status]);
      expect(server.attributes["rpc.status_code"]).toBe(code);
    },
  );

  test("that its caller cancels still gives a server span", async () => {
    const began = Promise.withResolvers<void>();
    await using service = await echo(endless(began));
    const abort = new AbortController();

    const outcome = call(service.client, service.client.one, { text: "" }, { ...soon, signal: abort.signal });
    await began.promise;
    abort.abort();
    await outcome.catch(() => {});

    await expect.poll(() => statuses(SpanKind.SERVER)).toEqual(["CANCELLED"]);
    expect(statuses(SpanKind.CLIENT)).toEqual(["CANCELLED"]);
  });

  test("whose deadline passes gives a server span that says so", async () => {
    await using service = await echo(endless(Promise.withResolvers<void>()));

    using _ = patientCall(service.address, 500);

    await expect.poll(() => statuses(SpanKind.SERVER)).toEqual(["DEADLINE_EXCEEDED"]);
    await call(service.client, service.client.one, { text: "" }, { timeoutMs: 100 }).catch(() => {});
    expect(statuses(SpanKind.CLIENT)).toEqual(["DEADLINE_EXCEEDED"]);
  });

  test("that begins a trace says how long it was on its way, there and back", async () => {
    await using service = await echo({ one: unary((req) => req) });

    await call(service.client, service.client.one, { text: "" }, soon);

    const client = only(NAME, SpanKind.CLIENT);
    const [request, response] = [only("rpc.request"), only("rpc.response")];
    for (const startPath of [request, response]) {
      expect(startPath.parentSpanContext?.spanId).toBe(client.spanContext().spanId);
    }
    const server = only(NAME, SpanKind.SERVER);
    const moments = [request.startTime, request.endTime, server.startTime];
    moments.push(server.endTime, response.startTime, response.endTime);
    expect(moments.map(wholeUs)).toEqual(moments.map(wholeUs).toSorted((a, b) => a - b));
    expect(request.duration).not.toEqual([0, 0]);
    expect(response.duration).not.toEqual([0, 0]);
    expect(ms(request.startTime)).toBeCloseTo(ms(client.startTime), 2);
    expect(ms(response.endTime)).toBeCloseTo(ms(client.endTime), 2);
  });

  test("inside a trace has no such spans: there it is the client span's own time", async () => {
    await using service = await echo({ one: unary((req) => req) });

    await withSpan("root", {}, () => call(service.client, service.client.one, { text: "" }, soon));

    expect(exporter.getFinishedSpans().filter(({ name }) => name.startsWith("rpc."))).toEqual([]);
  });

  test("that is looked into says when its handler began and was done", async () => {
    await using service = await echo({
      one: unary((req) => betweenTimes(() => withSpan("handler", {}, async () => req))),
    });

    await withSpan("root", {}, () => call(service.client, service.client.one, { text: "" }, soon));

    const server = only(NAME, SpanKind.SERVER);
    const handler = only("handler");
    const startUs = wholeUs(server.startTime);
    const { [attribute.handlerBegan]: beganUs, [attribute.handlerDone]: doneUs } = server.attributes;
    const moments = [0, Number(beganUs), wholeUs(handler.startTime) - startUs];
    const ends = [wholeUs(handler.endTime) - startUs, Number(doneUs), wholeUs(server.endTime) - startUs];
    expect(moments).toEqual(moments.toSorted((a, b) => a - b));
    expect(ends).toEqual(ends.toSorted((a, b) => a - b));
    expect(exporter.getFinishedSpans().filter(({ name }) => name.startsWith("rpc."))).toEqual([]);
  });

  test("to a peer that is not there gives a client span", async () => {
    const service = await echo({});
    await service.close();

    await call(service.client, service.client.one, { text: "" }, soon).catch(() => {});
    service.client.close();

    expect(statuses(SpanKind.CLIENT)).toEqual(["UNAVAILABLE"]);
  });

  test("that streams has its context in the generator, and ends its spans when the reader leaves", async () => {
    let inside = "";
    await using service = await echo({
      down: serverStream(async function* (_, ctx) {
        for (;;) {
          inside = activeTraceparent();
          yield { text: "" };
          await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
        }
      }),
    });

    for await (const _ of openStream(service.client, service.client.down, { text: "" }, soon)) break;

    await expect.poll(() => statuses(SpanKind.SERVER)).toEqual(["CANCELLED"]);
    const server = only("test.v1.Echo/Down", SpanKind.SERVER);
    expect(inside).toContain(server.spanContext().spanId);
  });
});

test("a probe's health checks leave no trace of their own", async () => {
  const { HealthClient } = await import("../../gen/grpc/health/v1/health.ts");
  const { connect } = await import("../grpc/client.ts");
  const { createServer, serve } = await import("../grpc/server/serve.ts");
  const health = new Health([]);
  const server = createServer();
  addHealth(server, health);
  const close = await serve(server, "127.0.0.1:0", 100, health);
  const client = connect(HealthClient, `127.0.0.1:${close.port}`);

  await call(client, client.check, { service: "" }, soon);

  expect(exporter.getFinishedSpans()).toEqual([]);
  client.close();
  await close();
});

function endless(began: PromiseWithResolvers<void>): EchoHandlers {
  return {
    one: unary(async (req, ctx) => {
      began.resolve();
      if (!ctx.signal.aborted) await once(ctx.signal, "abort");
      return req;
    }),
  };
}

function statuses(kind: SpanKind): unknown[] {
  return exporter
    .getFinishedSpans()
    .filter((span) => span.kind === kind)
    .map((span) => span.attributes["rpc.status_code"]);
}
