import { ExportResultCode } from "@opentelemetry/core";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";
import { expect, test } from "vitest";
import { createLogger } from "./log.ts";
import { QuietExporter } from "./telemetry.ts";

const lines: Record<string, unknown>[] = [];
createLogger("test", { write: (line) => lines.push(JSON.parse(line)) });

test.each(["reports it", "throws"])(
  "an exporter that %s disturbs nobody and is mentioned once a minute",
  (how) => {
    lines.length = 0;
    let now = 0;
    const failing: SpanExporter = {
      export: (_, done) => {
        if (how === "throws") throw new Error("collector away");
        done({ code: ExportResultCode.FAILED, error: new Error("collector away") });
      },
      shutdown: () => Promise.reject(new Error("no")),
    };
    const quiet = new QuietExporter(failing, () => now);
    const codes: number[] = [];
    // Only their number matters here.
    const three = [{}, {}, {}] as ReadableSpan[];

    for (; now < 90_000; now += 1_000) quiet.export(three, ({ code }) => codes.push(code));

    expect(new Set(codes)).toEqual(new Set([ExportResultCode.SUCCESS]));
    expect(lines).toMatchObject([
      { level: "warn", msg: "spans could not be exported", lost: 3, reason: "collector away" },
      { level: "warn", msg: "spans could not be exported", lost: 180 },
    ]);
  },
);
