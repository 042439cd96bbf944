import { flag, integer, oneOf, parsed, text } from "../config/config.ts";

const ms = (fallback: number) => integer(1, 3_600_000).prefault(fallback);
const SAMPLERS = [
  ...["always_on", "always_off", "traceidratio"],
  ...["parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"],
] as const;

/** The standard variables of OpenTelemetry that every service reads. */
export const variables = {
  OTEL_EXPORTER_OTLP_ENDPOINT: text()
    .optional()
    .meta({ kind: "URL" })
    .describe(
      "Where spans are sent, by OTLP/HTTP. Unset: nowhere; traces pass through, and logs have their ids.",
    ),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: text()
    .optional()
    .meta({ kind: "URL" })
    .describe("The same with its whole path. Wins over the other."),
  OTEL_EXPORTER_OTLP_HEADERS: text()
    .optional()
    .meta({ kind: "key=value, ...", secret: true })
    .describe("Headers of these requests, values URL-encoded."),
  OTEL_EXPORTER_OTLP_LOGS_HEADERS: text()
    .optional()
    .meta({ kind: "key=value, ...", secret: true })
    .describe("Headers of what `AUDIT_OTLP` is sent, besides those."),
  OTEL_EXPORTER_OTLP_TOKEN_FILE: text()
    .optional()
    .describe(
      "File with a token to send spans with, of scope `telemetry`; read again every 30 s. Windhover's own.",
    ),
  OTEL_EXPORTER_OTLP_TIMEOUT: ms(2_000).describe("Longest export with its retries, in milliseconds."),
  OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: integer(1, 3_600_000)
    .optional()
    .meta({ defaultText: "OTEL_EXPORTER_OTLP_TIMEOUT" })
    .describe("The same for spans alone."),
  OTEL_BSP_SCHEDULE_DELAY: ms(300).describe("Milliseconds between two exports."),
  OTEL_BSP_EXPORT_TIMEOUT: ms(10_000).describe("Milliseconds after which an export is given up."),
  OTEL_BSP_MAX_QUEUE_SIZE: integer(1, 1_000_000)
    .prefault(4_096)
    .describe("Spans that wait for an export; more are dropped."),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: integer(1, 1_000_000).prefault(512).describe("Spans in one export."),
  OTEL_SERVICE_NAME: text()
    .optional()
    .meta({ defaultText: "windhover" })
    .describe("Name of the service in traces."),
  OTEL_RESOURCE_ATTRIBUTES: text()
    .optional()
    .meta({ kind: "key=value, ..." })
    .describe("Further attributes of the process."),
  OTEL_TRACES_SAMPLER: oneOf(SAMPLERS)
    .prefault("parentbased_always_on")
    .describe("Which traces are recorded."),
  OTEL_TRACES_SAMPLER_ARG: parsed(ratio)
    .meta({ kind: "0 to 1" })
    .prefault("1")
    .describe("Share of the traces, for the samplers by ratio."),
  OTEL_TRACES_EXPORTER: oneOf(["otlp", "none"]).prefault("otlp").describe("`none`: no span is recorded."),
  OTEL_SDK_DISABLED: flag().prefault("false").describe("`true`: no span is recorded."),
};

function ratio(raw: string): number {
  const value = Number(raw);
  if (raw.trim() === "" || !(value >= 0 && value <= 1)) throw new Error(`must be from 0 to 1, not "${raw}"`);
  return value;
}
