import { trace } from "@opentelemetry/api";
import { expect, test } from "vitest";
import { Fault } from "../faults/fault.ts";
import { startTelemetry } from "../otel/telemetry.ts";
import { withSpan } from "../otel/tracing.ts";
import { createLogger, type LogOptions, logger } from "./log.ts";

startTelemetry({});

test("a line is JSON with time, level, constant message, service and facts", () => {
  const { log, lines } = capture();

  log.info("machine started", { machine: "abc", generation: 7n, at: new Date(0), raw: Buffer.from("xyz") });

  expect(lines()).toEqual([
    {
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      level: "info",
      msg: "machine started",
      service: "test",
      machine: "abc",
      generation: "7",
      at: "1970-01-01T00:00:00.000Z",
      raw: "<3 bytes>",
    },
  ]);
});

test("a line written inside a span carries its ids", async () => {
  const { log, lines } = capture();

  const ids = await withSpan("x", {}, async (span) => {
    log.info("inside");
    return span.spanContext();
  });
  log.info("outside");

  expect(lines()[0]).toMatchObject({ trace_id: ids.traceId, span_id: ids.spanId });
  expect(lines()[1]).not.toHaveProperty("trace_id");
  expect(trace.getActiveSpan()).toBeUndefined();
});

test("an error is written with its whole chain of causes", () => {
  const { log, lines } = capture();
  const root = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
  const fault = new Fault(
    "UNAVAILABLE",
    "DATABASE_UNAVAILABLE",
    "no database",
    { try: "1" },
    { cause: root },
  );

  log.error("it failed", { error: new AggregateError([fault], "several") });

  expect(lines()[0]).toMatchObject({
    error: {
      type: "AggregateError",
      errors: [
        {
          type: "Fault",
          code: "UNAVAILABLE",
          reason: "DATABASE_UNAVAILABLE",
          message: "no database",
          facts: { try: "1" },
          cause: { message: "refused", code: "ECONNREFUSED" },
        },
      ],
    },
  });
});

test("facts that contain themselves, are huge, or use a field's own name still give one good line", () => {
  const { log, lines } = capture();
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  const error = new Error("x");
  error.cause = error;

  log.warn("odd", { loop, error, huge: "y".repeat(1_000_000), msg: "mine", many: Array(10_000).fill(1) });

  const [line] = lines();
  expect(line).toMatchObject({ msg: "odd", fact_msg: "mine" });
  expect(JSON.stringify(line).length).toBeLessThan(200_000);
});

test("lines below the level are dropped, and facts of `with` are in every line", () => {
  const { log, lines } = capture({ level: "warn" });
  const about = log.with({ host: "h1" });

  about.info("no");
  about.warn("yes");

  expect(lines()).toMatchObject([{ msg: "yes", host: "h1" }]);
});

test("the library's own lines go through the program's logger", () => {
  const { lines } = capture();

  logger.info("from the library");

  expect(lines()).toMatchObject([{ service: "test", msg: "from the library" }]);
});

function capture(options: LogOptions = {}) {
  const written: string[] = [];
  const log = createLogger("test", { ...options, write: (line) => written.push(line) });
  const lines = () => {
    expect(written.every((line) => line.endsWith("\n") && line.indexOf("\n") === line.length - 1)).toBe(true);
    return written.map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return { log, lines };
}
