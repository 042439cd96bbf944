import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import {
  type Context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { tracer } from "../../../lib/otel/tracing.ts";

const NO_TRACE = "0".repeat(32);
const TRACE_ID = /^(?:[0-9a-f]{16}){1,2}$/;
const SPAN_ID = /^[0-9a-f]{16}$/;
/** The version ff and ids of zeros only are not valid. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/;

/** The trace of a request, and our span in it. */
export interface RequestTrace {
  readonly span: Span;
  /** Context of the calls that are made for it. */
  readonly context: Context;
  readonly traceId: string;
  readonly traceparent: string;
}

/** A request, with the attributes of its span. */
export interface TracedRequest {
  readonly method: string;
  readonly route: string | undefined;
  /** With its query, which the span does not have. */
  readonly url: string;
  readonly protocol: string;
  readonly headers: IncomingHttpHeaders;
}

/** Begins the span of a request, below the caller's when it names one by `traceparent` or b3. */
export function beginTrace({ method, route, url, protocol, headers }: TracedRequest): RequestTrace {
  const given = traceparentOf(headers);
  const parent = propagation.extract(ROOT_CONTEXT, { traceparent: given });
  const attributes = {
    "http.request.method": method,
    "url.path": url.split("?", 1)[0] ?? "",
    "url.scheme": protocol,
    ...(route === undefined ? {} : { "http.route": route }),
  };
  const name = route === undefined ? method : `${method} ${route}`;
  const span = tracer().startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
  const { traceId: own, spanId, traceFlags } = span.spanContext();
  // Without telemetry there is no id, which clients expect.
  const traceId = own === NO_TRACE ? (TRACEPARENT.exec(given)?.[1] ?? randomBytes(16).toString("hex")) : own;
  const id = SPAN_ID.test(spanId) && !/^0+$/.test(spanId) ? spanId : randomBytes(8).toString("hex");
  return {
    ...{ span, traceId, context: trace.setSpan(parent, span) },
    traceparent: `00-${traceId}-${id}-0${traceFlags & 1}`,
  };
}

/** Ends the span of a request. */
export function endTrace({ span }: RequestTrace, status: number): void {
  span.setAttribute("http.response.status_code", status);
  if (status >= 500) {
    span.setAttribute("error.type", String(status));
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}

/** Returns the `traceparent` that a request names, in either format. */
function traceparentOf(headers: IncomingHttpHeaders): string {
  const given = headers["traceparent"];
  if (typeof given === "string" && given !== "") return given;
  const single = text(headers["b3"]).split("-");
  const [traceId = "", spanId = "", sampled = "1"] =
    single.length > 1
      ? single
      : [text(headers["x-b3-traceid"]), text(headers["x-b3-spanid"]), text(headers["x-b3-sampled"]) || "1"];
  const [id, span] = [traceId.toLowerCase(), spanId.toLowerCase()];
  if (!TRACE_ID.test(id) || !SPAN_ID.test(span)) return "";
  const isSampled = sampled === "1" || sampled === "d" || sampled === "true";
  return `00-${id.padStart(32, "0")}-${span}-0${isSampled ? 1 : 0}`;
}

function text(header: string | string[] | undefined): string {
  return typeof header === "string" ? header : "";
}
