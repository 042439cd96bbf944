import { type Context, context, trace } from "@opentelemetry/api";
import {
  attribute,
  nowUs,
  recordSpan,
  type Span,
  SpanKind,
  tracer,
  withRemoteParent,
} from "../../lib/otel/tracing.ts";
import type { Place, Wake } from "../route.ts";
import type { RequestRecord } from "./request-record.ts";

const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The spans of one request: the request, its wait for a machine, and the program. */
export class RequestTrace {
  readonly span: Span;
  readonly #below: Context;
  /** Of the span of the request. */
  readonly traceparent: string;
  readonly traceId: string;

  /** @param parent what the client sent as `traceparent`; empty: nothing */
  constructor(parent: string, method: string) {
    const options = { kind: SpanKind.SERVER, attributes: { "http.request.method": method } };
    const start = () => tracer().startSpan("proxy.request", options, context.active());
    this.span = withRemoteParent(parent, start);
    this.#below = trace.setSpan(context.active(), this.span);
    this.traceparent = traceparentOf(this.span, parent);
    this.traceId = /^00-([0-9a-f]{32})-/.exec(this.traceparent)?.[1] ?? "";
  }

  /** Records the start that the request has waited for, as children that end now. */
  waited(wake: Wake): void {
    const endUs = nowUs();
    let startUs = endUs - 1_000 * (wake.queueMs + wake.startMs + wake.readyMs);
    const attributes = { [attribute.startPath]: wake.path };
    for (const [name, ms] of [
      ["proxy.queue", wake.queueMs],
      ["proxy.start", wake.startMs],
      ["proxy.readiness", wake.readyMs],
    ] as const) {
      const partEndUs = startUs + 1_000 * ms;
      recordSpan({ name, startUs, endUs: partEndUs, attributes, parent: this.traceparent });
      startUs = partEndUs;
    }
  }

  /** Begins the span of an attempt at a machine. Its traceparent goes to the program. */
  application(place: Place): { readonly span: Span; readonly traceparent: string } {
    const attributes = { [attribute.machineId]: place.machineId, [attribute.region]: place.region };
    const span = tracer().startSpan("proxy.application", { kind: SpanKind.CLIENT, attributes }, this.#below);
    return { span, traceparent: traceparentOf(span, this.traceparent) };
  }

  end(record: RequestRecord): void {
    this.span.setAttributes({
      "server.address": record.hostname,
      "url.path": record.path,
      "network.protocol.version": record.version,
      "http.response.status_code": record.status,
      "windhover.app": record.app,
      [attribute.org]: record.org,
      [attribute.machineId]: record.machineId,
      ...(record.error === undefined ? {} : { "error.type": record.error }),
    });
    // 2: an error. Only those of the server count, as HTTP's conventions say.
    if (record.status >= 500) this.span.setStatus({ code: 2, message: record.error ?? "" });
    this.span.end();
  }
}

/** @param parent goes on where nothing traces */
function traceparentOf(span: Span, parent: string): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  if (/[1-9a-f]/.test(traceId)) return `00-${traceId}-${spanId}-0${traceFlags & 1}`;
  return TRACEPARENT.test(parent) ? parent : "";
}
