import type { HrTime, SpanKind } from "@opentelemetry/api";
import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace";
import { beforeEach, expect } from "vitest";
import { createLogger } from "../runtime/log.ts";
import { registry } from "./metrics.ts";
import { startTelemetry } from "./telemetry.ts";

export const exporter = new InMemorySpanExporter();

/** Has each test of a file begin with no spans and no measurements. @param others see spans first */
export function collectSpans(...others: readonly SpanProcessor[]): void {
  startTelemetry({}, [...others, new SimpleSpanProcessor({ exporter })]);
  createLogger("test", { write: () => {} });
  beforeEach(() => {
    exporter.reset();
    registry.resetMetrics();
  });
}

/** Returns the one span that has the name, and the kind if one is given. */
export function only(name: string, kind?: SpanKind): ReadableSpan {
  const found = exporter
    .getFinishedSpans()
    .filter((span) => span.name === name && (kind === undefined || span.kind === kind));
  expect(found).toHaveLength(1);
  const [span] = found;
  if (!span) throw new Error(`no span ${name}`);
  return span;
}

/** What a call's metadata have. */
export function wholeUs([seconds, nanos]: HrTime): number {
  return seconds * 1e6 + Math.floor(nanos / 1e3);
}

export function ms([seconds, nanos]: HrTime): number {
  return seconds * 1_000 + nanos / 1e6;
}
