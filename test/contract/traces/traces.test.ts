import { gzipSync } from "node:zlib";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rawTo } from "../rest/server/raw-http.ts";
import { bearer, exportRequest, json, privateDir, type Receiver, rawSpan, startReceiver } from "./support.ts";

const { dir, remove } = privateDir();
let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver(dir);
});
afterAll(async () => {
  await receiver.close();
  remove();
});

describe("OTLP", () => {
  test("spans of the SDK's exporter come back, gzip included", async () => {
    const [span] = realSpans("exported.by-sdk");
    const headers = { authorization: await bearer("", "telemetry") };
    const exporter = new OTLPTraceExporter({
      url: `${receiver.url}/v1/traces`,
      headers,
      // The enum is the string it stands for.
      compression: "gzip" as never,
    });

    const result = await new Promise<{ code: number }>((resolve) =>
      exporter.export(span ? [span] : [], resolve),
    );
    await exporter.shutdown();

    expect(result.code).toBe(0);
    await expectRealSpan(span, "exported.by-sdk");
  });

  test("spans of the SDK's protobuf serializer come back the same", async () => {
    const [span] = realSpans("exported.as-protobuf");
    const body = ProtobufTraceSerializer.serializeRequest(span ? [span] : []) ?? new Uint8Array();

    const response = await receiver.post(body, { headers: { "content-type": "application/x-protobuf" } });

    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/x-protobuf");
    expect((await response.arrayBuffer()).byteLength).toBe(0);
    await expectRealSpan(span, "exported.as-protobuf");
  });

  test("spans that arrive late, out of order and twice become one trace", async () => {
    const root = rawSpan({ name: "root" });
    const child = rawSpan({ traceId: root.traceId, parentSpanId: root.spanId, name: "child" });
    const grandchild = rawSpan({ traceId: root.traceId, parentSpanId: child.spanId, name: "grandchild" });

    await receiver.post(exportRequest([grandchild], "hostd"));
    const early = await json(receiver.get(`/api/traces/${root.traceId}`));
    await receiver.post(exportRequest([grandchild, child], "hostd"));
    await receiver.post(exportRequest([root, root], "api"));
    const late = await json(receiver.get(`/api/traces/${root.traceId}`));

    expect(early.trace).toMatchObject({ root_name: "grandchild", has_root: false, spans: 1 });
    expect(late.trace).toMatchObject({ root_name: "root", root_service: "api", has_root: true, spans: 3 });
    expect(late.spans.map((s: { name: string }) => s.name)).toEqual(["root", "child", "grandchild"]);
  });

  test("good spans are kept when others of the request are not, and the answer says so", async () => {
    const good = rawSpan();
    const body = exportRequest([
      { ...rawSpan(), traceId: "nonsense" },
      good,
      { ...rawSpan(), startTimeUnixNano: "soon" },
    ]);

    const response = await receiver.post(body);

    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      partialSuccess: {
        rejectedSpans: "2",
        errorMessage:
          "traceId must be 32 hex digits, not all zero; startTimeUnixNano must be nanoseconds since 1970",
      },
    });
    expect((await receiver.get(`/api/traces/${good.traceId}`)).status).toBe(200);
  });

  test("a trace keeps its first 5000 spans and counts the others", async () => {
    const root = rawSpan();
    const spans = Array.from({ length: 5_010 }, (_, i) => ({
      ...root,
      spanId: `c${i.toString(16).padStart(15, "0")}`,
    }));

    const answer = await json(receiver.post(exportRequest(spans)));
    const { trace } = await json(receiver.get(`/api/traces/${root.traceId}`));

    expect(answer.partialSuccess).toEqual({
      rejectedSpans: "10",
      errorMessage: "a trace holds at most 5000 spans",
    });
    expect(trace).toMatchObject({ spans: 5_000, dropped_spans: 10 });
  });
});

describe("hostile requests are refused with a 4xx, and the receiver goes on", () => {
  const big = Buffer.alloc(9 * 1024 * 1024, 32);
  const cases: [string, number, Uint8Array, Record<string, string>][] = [
    ["not JSON", 400, Buffer.from("{"), {}],
    [
      "not protobuf",
      400,
      Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
      { "content-type": "application/x-protobuf" },
    ],
    [
      "protobuf that ends in the middle",
      400,
      Buffer.from([0x0a, 0x05, 0x12]),
      { "content-type": "application/x-protobuf" },
    ],
    ["not gzip", 400, Buffer.from("{}"), { "content-encoding": "gzip" }],
    ["more than 8 MiB", 413, big, {}],
    ["more than 8 MiB once unpacked", 413, gzipSync(big), { "content-encoding": "gzip" }],
    ["an unknown encoding", 415, Buffer.from("{}"), { "content-encoding": "br" }],
    ["an unknown type", 415, Buffer.from("{}"), { "content-type": "text/plain" }],
  ];
  test.each(cases)("%s", async (_name, status, body, headers) => {
    const response = await receiver.post(body, { headers });

    expect(response.status).toBe(status);
    expect((await receiver.get("/healthz")).status).toBe(200);
  });

  test("attribute values nested without end are cut", async () => {
    const depth = 5_000;
    const value = `${'{"arrayValue":{"values":['.repeat(depth)}{"stringValue":"deep"}${"]}}".repeat(depth)}`;
    const span = { ...rawSpan(), attributes: [{ key: "deep", value: "VALUE" }] };
    const body = JSON.stringify(exportRequest([span])).replace('"VALUE"', value);

    const response = await receiver.post(body);

    expect(response.status).toBe(200);
    const { spans } = await json(receiver.get(`/api/traces/${span.traceId}`));
    expect(spans[0].attributes.deep).toEqual(['[[[["…"]]]]']);
  });

  test("a span of many megabytes loses its attributes, not the trace", async () => {
    const attributes = Array.from({ length: 200 }, (_, i) => ({
      key: `k${i}`,
      value: { stringValue: "x".repeat(20_000) },
    }));
    const span = { ...rawSpan(), attributes };

    await receiver.post(exportRequest([span]));

    const answer = await json(receiver.get(`/api/traces/${span.traceId}`));
    expect(answer.spans[0].attributes).toEqual({});
  });

  test("unknown paths and methods are named", async () => {
    const path = await receiver.get("/api/nothing");
    const method = await fetch(`${receiver.url}/v1/traces`);

    expect([path.status, method.status, method.headers.get("allow")]).toEqual([404, 405, "POST"]);
    expect((await json(path)).error.reason).toBe("PATH_NOT_FOUND");
    const noPath = await rawTo(new URL(receiver.url).host, "GET //[ HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(noPath.status).toBe(404);
  });
});

/** A parent and a child made by the SDK; the child comes first, as it ended first. */
function realSpans(name: string): ReadableSpan[] {
  const memory = new InMemorySpanExporter();
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": "sdk-service" }),
    spanProcessors: [new SimpleSpanProcessor({ exporter: memory })],
  });
  const span = provider.getTracer("test").startSpan(name, {
    kind: SpanKind.SERVER,
    startTime: [1_764_000_000, 123_456_000],
    attributes: {
      text: "é ☃",
      whole: 42,
      real: 1.5,
      yes: true,
      list: ["a", "b"],
      "windhover.start.path": "warm",
    },
  });
  span.addEvent("image ready", { cached: true }, [1_764_000_000, 200_000_000]);
  span.setStatus({ code: SpanStatusCode.ERROR, message: "no luck" });
  span.end([1_764_000_000, 323_456_000]);
  return memory.getFinishedSpans();
}

async function expectRealSpan(span: ReadableSpan | undefined, name: string): Promise<void> {
  const { traceId, spanId } = span?.spanContext() ?? { traceId: "", spanId: "" };
  const { spans } = await json(receiver.get(`/api/traces/${traceId}`));
  expect(spans).toEqual([
    {
      trace_id: traceId,
      span_id: spanId,
      name,
      service: "sdk-service",
      kind: "server",
      start_us: 1_764_000_000_123_456,
      duration_us: 200_000,
      status: "error",
      status_message: "no luck",
      attributes: {
        text: "é ☃",
        whole: 42,
        real: 1.5,
        yes: true,
        list: ["a", "b"],
        "windhover.start.path": "warm",
      },
      events: [{ name: "image ready", time_us: 1_764_000_000_200_000, attributes: { cached: true } }],
    },
  ]);
}
