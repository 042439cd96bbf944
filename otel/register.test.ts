import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { describe, expect, test, vi } from "vitest";
import { bound } from "../test/support/servers/bound.ts";

// Each test starts a program of its own.
vi.setConfig({ testTimeout: 20_000 });

const register = fileURLToPath(new URL("./register.ts", import.meta.url));
const tracing = new URL("../src/lib/otel/tracing.ts", import.meta.url).href;
const log = new URL("../src/lib/runtime/log.ts", import.meta.url).href;

const program = `
  import { activeTraceparent, flushTelemetry, withSpan } from ${JSON.stringify(tracing)};
  import { createLogger } from ${JSON.stringify(log)};
  const log = createLogger("program");
  await withSpan("work", { n: 1 }, async () => log.info("inside", { traceparent: activeTraceparent() }));
  const began = performance.now();
  await flushTelemetry(Number(process.env.FLUSH_MS));
  log.info("flushed", { ms: performance.now() - began });
`;

test("with an endpoint, spans arrive there with the service's name and the headers asked for", async () => {
  const collector = await collect(200);

  const lines = await run({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: "x-tenant=me",
    OTEL_SERVICE_NAME: "api",
  });
  await collector.close();

  expect(collector.requests).toHaveLength(1);
  const [{ path, headers, body }] = collector.requests as [Received];
  expect(path).toBe("/v1/traces");
  expect(headers["x-tenant"]).toBe("me");
  const [resource] = body.resourceSpans;
  const [span] = resource?.scopeSpans[0]?.spans ?? [];
  expect(resource?.resource.attributes).toContainEqual({
    key: "service.name",
    value: { stringValue: "api" },
  });
  expect(span?.name).toBe("work");
  expect(lines[0]).toMatchObject({ msg: "inside", trace_id: span?.traceId, span_id: span?.spanId });
});

test("without an endpoint there are trace ids, propagated as sampled, and nothing is sent", async () => {
  const lines = await run({});

  expect(lines.map((line) => line["msg"])).toEqual(["inside", "flushed"]);
  expect(lines[0]?.["traceparent"]).toBe(`00-${lines[0]?.["trace_id"]}-${lines[0]?.["span_id"]}-01`);
});

describe("a collector that", () => {
  test("is not there costs the program no more than the flush's timeout, and one line", async () => {
    const lines = await run({
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
      OTEL_EXPORTER_OTLP_TIMEOUT: "2000",
      FLUSH_MS: "1500",
    });

    expect(lines.filter((line) => line["level"] !== "info").length).toBeLessThanOrEqual(1);
    expect(lines.find((line) => line["msg"] === "flushed")?.["ms"]).toBeLessThan(8_000);
  });

  test("refuses everything is no reason to fail", async () => {
    const collector = await collect(400);

    const lines = await run({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
    await collector.close();

    expect(lines.map((line) => line["msg"])).toEqual(["inside", "spans could not be exported", "flushed"]);
  });
});

interface Received {
  readonly path: string | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: {
    readonly resourceSpans: readonly {
      readonly resource: { readonly attributes: readonly unknown[] };
      readonly scopeSpans: readonly {
        readonly spans: readonly { name: string; traceId: string; spanId: string }[];
      }[];
    }[];
  };
}

async function collect(status: number) {
  const requests: Received[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString());
      requests.push({ path: req.url, headers: req.headers, body });
      res.writeHead(status, { "content-type": "application/json" }).end("{}");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** Runs the program to its end and returns the lines it logged. */
async function run(env: Record<string, string>): Promise<Record<string, unknown>[]> {
  const child = spawn(
    ...bound(process.execPath, ["--import", register, "--input-type=module", "-e", program]),
    {
      // A collector that is there may be slow to answer.
      env: {
        ...{ PATH: process.env["PATH"], OTEL_EXPORTER_OTLP_TIMEOUT: "15000", FLUSH_MS: "15000" },
        ...env,
      },
    },
  );
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  const [code] = await once(child, "close");
  expect([code, Buffer.concat(errors).toString()]).toEqual([0, ""]);
  return Buffer.concat(output)
    .toString()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}
