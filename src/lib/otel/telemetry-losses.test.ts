import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { trace } from "@opentelemetry/api";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createLogger } from "../runtime/log.ts";
import { registry } from "./metrics.ts";
import { startTelemetry } from "./telemetry.ts";
import { withSpan } from "./tracing.ts";

createLogger("test", { write: () => {} });
afterEach(() => {
  trace.disable();
  vi.unstubAllEnvs();
});

/** Spans in a queue, and in one export. */
const QUEUE = 64;
const BATCH = 16;
const SPANS = 500;

describe("a collector that", () => {
  test("never answers costs no operation a wait, and what does not fit into the queue is counted", async () => {
    let requests = 0;
    const unanswered = Promise.withResolvers<void>();
    const { endpoint } = await collector((response) => {
      requests += 1;
      void unanswered.promise.then(() => response.writeHead(200).end("{}"));
    });
    const before = await lost("queue_full");
    startTraces(endpoint, { OTEL_EXPORTER_OTLP_TIMEOUT: "20000" });

    await operations(BATCH);
    await expect.poll(() => requests).toBe(1);
    // The first export is still open, and all of these end.
    await operations(SPANS);

    expect(requests).toBe(1);
    expect((await lost("queue_full")) - before).toBe(SPANS - QUEUE);
    unanswered.resolve();
  });

  test("answers 503 loses spans by the count", async () => {
    const { endpoint } = await collector((response) => response.writeHead(503).end());
    const before = await lost("export_failed");
    startTraces(endpoint, { OTEL_EXPORTER_OTLP_TIMEOUT: "50" });

    await operations(BATCH);

    await expect.poll(async () => (await lost("export_failed")) - before).toBe(BATCH);
  });

  test("is gone loses spans by the count, and is told of them when it is back", async () => {
    const { endpoint, server, port } = await collector(() => {});
    server.close();
    await once(server, "close");
    const before = await lost("export_failed");
    startTraces(endpoint, { OTEL_EXPORTER_OTLP_TIMEOUT: "50", OTEL_TRACES_SAMPLER: "always_on" });
    await operations(BATCH);
    await expect.poll(async () => (await lost("export_failed")) - before).toBe(BATCH);

    const told: number[] = [];
    await collector((response, body) => {
      told.push(...reports(body));
      response.writeHead(200).end("{}");
    }, port);
    await operations(1);
    await expect.poll(() => told).toEqual([BATCH]);
    await operations(1);

    expect(told).toEqual([BATCH]);
  });
});

/** Runs so many operations in a span, one after the other. */
async function operations(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await withSpan("operation", {}, async () => {});
}

function startTraces(endpoint: string, env: Readonly<Record<string, string>>): void {
  // The exporter reads it there.
  vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
  const provider = startTelemetry({
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_BSP_MAX_QUEUE_SIZE: String(QUEUE),
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: String(BATCH),
    OTEL_BSP_SCHEDULE_DELAY: "1",
    ...env,
  });
  // Waited for: spans lost at its end would count in the next test.
  onTestFinished(() => provider.shutdown().catch(() => {}));
}

/** Starts an OTLP receiver that answers as it is told. */
async function collector(answer: (response: ServerResponse, body: string) => void, port = 0) {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    answer(response, Buffer.concat(chunks).toString());
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address() as AddressInfo;
  return { server, port: address.port, endpoint: `http://127.0.0.1:${address.port}` };
}

/** Returns the counts of the spans of an export that tell of lost ones. */
function reports(body: string): number[] {
  const { resourceSpans } = JSON.parse(body);
  return resourceSpans
    .flatMap(({ scopeSpans }: { scopeSpans: { spans: object[] }[] }) =>
      scopeSpans.flatMap(({ spans }) => spans),
    )
    .filter(({ name }: { name: string }) => name === "telemetry.dropped")
    .flatMap(({ attributes }: { attributes: { key: string; value: { intValue: number } }[] }) =>
      attributes.filter(({ key }) => key === "windhover.spans.dropped"),
    )
    .map(({ value }: { value: { intValue: number } }) => Number(value.intValue));
}

async function lost(reason: string): Promise<number> {
  const found = (await registry.getMetricsAsJSON()).find(
    ({ name }) => name === "windhover_spans_dropped_total",
  );
  const values: readonly { labels: { reason?: string | number }; value: number }[] = found?.values ?? [];
  return values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
}
