import { integer, parseAddress, parsed } from "./config.ts";

/** Of every service that writes an audit log. */
export const auditVariables = {
  AUDIT_FILE_MB: integer(1, 10_240)
    .prefault(32)
    .describe("Size in MiB at which a file of the audit log is full and the next one begins."),
  AUDIT_FILES: integer(2, 1_000)
    .prefault(8)
    .describe("Files of the audit log that are kept; the oldest is removed."),
  AUDIT_SYSLOG: parsed(parseUdpAddress)
    .meta({ kind: "host:port" })
    .optional()
    .describe("Syslog server that is sent every entry of the audit log, over UDP (RFC 5424). Unset: none."),
  AUDIT_OTLP: parsed(parseCollector)
    .meta({ kind: "URL" })
    .optional()
    .describe(
      "OpenTelemetry collector that is sent every entry of the audit log as a log record, by OTLP/HTTP, e.g. `http://collector:4318`; headers are those of `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_EXPORTER_OTLP_LOGS_HEADERS`. Unset: none.",
    ),
};

function parseCollector(raw: string): string {
  const url = URL.parse(raw);
  const isPlain = url && url.username === "" && url.search === "" && url.hash === "";
  if (isPlain && ["http:", "https:"].includes(url.protocol) && url.hostname !== "") return url.href;
  throw new Error(
    "must be the URL of a collector, such as http://collector:4318; credentials belong into OTEL_EXPORTER_OTLP_LOGS_HEADERS",
  );
}

/** Node has no datagrams to unix sockets. */
function parseUdpAddress(raw: string): string {
  if (raw.startsWith("unix:")) throw new Error(`must be host:port, not "${raw}"`);
  return parseAddress(raw);
}
