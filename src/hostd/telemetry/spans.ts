import { trace } from "@opentelemetry/api";
import { recordSpan, withSpan } from "../../lib/otel/tracing.ts";
import type { Spans } from "../machines/host.ts";

/** Spans of OpenTelemetry. */
export const spans: Spans = {
  span: (name, attributes, fn) =>
    withSpan(name, attributes, (span) =>
      fn((key, value) => {
        span.setAttribute(key, value);
      }),
    ),
  record: (phase) => recordSpan(phase),
  traceId: () => trace.getActiveSpan()?.spanContext().traceId ?? "",
};
