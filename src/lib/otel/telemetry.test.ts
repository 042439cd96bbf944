import { context, ROOT_CONTEXT } from "@opentelemetry/api";
import { ExportResultCode, suppressTracing } from "@opentelemetry/core";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";
import { beforeAll, describe, expect, test } from "vitest";
import { createLogger } from "../runtime/log.ts";
import { QuietExporter } from "./export/quiet-exporter.ts";
import { startTelemetry } from "./telemetry.ts";
import { activeTraceparent, withRemoteParent, withSpan } from "./tracing.ts";

const lines: Record<string, unknown>[] = [];
createLogger("test", { write: (line) => lines.push(JSON.parse(line)) });

test.each(["reports it", "throws"])(
  "an exporter that %s disturbs nobody and is mentioned once a minute",
  async (how) => {
    lines.length = 0;
    let now = 0;
    const failing: SpanExporter = {
      export: (_, done) => {
        if (how === "throws") throw new Error("collector away");
        done({ code: ExportResultCode.FAILED, error: new Error("collector away") });
      },
      shutdown: () => Promise.reject(new Error("no")),
    };
    const quiet = new QuietExporter(failing, undefined, () => now);
    const codes: number[] = [];
    // Only their number matters here.
    const three = [{}, {}, {}] as ReadableSpan[];

    for (; now < 90_000; now += 1_000) {
      const { promise, resolve } = Promise.withResolvers<number>();
      quiet.export(three, ({ code }) => resolve(code));
      codes.push(await promise);
    }

    expect(new Set(codes)).toEqual(new Set([ExportResultCode.SUCCESS]));
    expect(lines).toMatchObject([
      { level: "warn", msg: "spans could not be exported", lost: 3, reason: "collector away" },
      { level: "warn", msg: "spans could not be exported", lost: 180 },
    ]);
  },
);

test("spans are encoded in a turn of their own, not within the end of the span that fills a batch", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isExporting = false;
  const quiet = new QuietExporter({
    export: (_, done) => {
      isExporting = true;
      done({ code: ExportResultCode.SUCCESS });
    },
    shutdown: async () => {},
  });

  quiet.export([{}] as ReadableSpan[], () => resolve());
  await undefined;

  expect(isExporting).toBe(false);
  await promise;
  expect(isExporting).toBe(true);
});

describe("without an exporter", () => {
  beforeAll(() => startTelemetry({}));
  const TRACEPARENT = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;

  test("a trace passes through as it came, and nothing is recorded", async () => {
    const seen = await withRemoteParent(TRACEPARENT, () =>
      withSpan("x", {}, async (span) => [span.isRecording(), activeTraceparent()]),
    );

    expect(seen).toEqual([false, TRACEPARENT]);
  });

  test("a trace that begins here has an id of its own, for logs and for whoever is called", async () => {
    const [one, other] = [
      await withSpan("x", {}, () => withSpan("y", {}, async () => activeTraceparent())),
      await withSpan("x", {}, async () => activeTraceparent()),
    ];

    expect(one).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(other).not.toBe(one);
  });

  test("work that is not to be traced stays so", () => {
    const seen = context.with(suppressTracing(ROOT_CONTEXT), () =>
      withSpan("x", {}, async () => activeTraceparent()),
    );

    return expect(seen).resolves.toBe("");
  });
});
