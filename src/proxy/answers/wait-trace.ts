import { type Context, INVALID_TRACEID, ROOT_CONTEXT, SpanStatusCode, trace } from "@opentelemetry/api";
import {
  type Attributes,
  attribute,
  nowUs,
  recordSpan,
  type Span,
  SpanKind,
  startSpanBelow,
  tracer,
} from "../../lib/otel/tracing.ts";
import type { Place, Wake } from "../route.ts";

const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** What was found out about a request or a connection. Empty: nothing. */
export interface Found {
  readonly app: string;
  readonly org: string;
  readonly machineId: string;
}

/** The spans of a request or a connection: itself, its wait for a machine, and the program. */
export class WaitTrace {
  readonly span: Span;
  readonly #below: Context;
  /** The span of a wait, and the context below it. Undefined: it has not waited, or is answered. */
  #wake: { readonly span: Span; readonly below: Context } | undefined;
  /** Of its own span. */
  readonly traceparent: string;
  readonly traceId: string;

  /** @param parent what the client sent as `traceparent`; empty: nothing */
  constructor(name: string, parent: string, attributes: Attributes) {
    this.span = startSpanBelow(parent, name, { kind: SpanKind.SERVER, attributes });
    this.#below = trace.setSpan(ROOT_CONTEXT, this.span);
    this.traceparent = traceparentOf(this.span, parent);
    this.traceId = this.traceparent === "" ? "" : this.traceparent.slice(3, 35);
  }

  /** Begins the span of the wait for a machine, unless it has begun. Returns its traceparent. */
  readonly waits = (): string => {
    if (!this.#wake) {
      const span = tracer().startSpan("proxy.wake", {}, this.#below);
      this.#wake = { span, below: trace.setSpan(this.#below, span) };
    }
    return traceparentOf(this.#wake.span, this.traceparent);
  };

  /** There is a place at a machine. @param wake the start that was waited for */
  placed(wake: Wake | undefined): void {
    if (wake) {
      this.#waited(wake);
    } else if (this.#wake) {
      // It has waited for a turn at a machine that ran.
      this.#wake.span.updateName("proxy.wait").end();
      this.#wake = undefined;
    }
  }

  /** Begins the span of an attempt at a machine. Its traceparent goes to the program. */
  application(place: Place): { readonly span: Span; readonly traceparent: string } {
    const attributes = {
      [attribute.machineId]: place.machineId,
      [attribute.region]: place.region,
      "server.address": place.address.host,
      "server.port": place.address.port,
    };
    const below = this.#wake?.below ?? this.#below;
    const span = tracer().startSpan("proxy.application", { kind: SpanKind.CLIENT, attributes }, below);
    return { span, traceparent: traceparentOf(span, this.traceparent) };
  }

  /** The program has begun its answer: a wake is over. */
  answered(found: Found): void {
    if (!this.#wake) return;
    this.#wake.span.setAttributes(attributesOf(found));
    this.#wake.span.end();
    this.#wake = undefined;
  }

  /** Ends a wake that was not answered. @param reason why it has ended */
  protected failWake(found: Found, reason: string): void {
    if (!this.#wake) return;
    const { span } = this.#wake;
    span.setAttributes({ ...attributesOf(found), "error.type": reason, [attribute.reason]: reason });
    span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
    this.#wake = undefined;
  }

  /** Records the parts of a wait that ends now. */
  #waited(wake: Wake): void {
    const parent = this.waits();
    const endUs = nowUs();
    let startUs = endUs - 1_000 * (wake.queueMs + wake.startMs + wake.readyMs);
    const attributes = { [attribute.startPath]: wake.path };
    // The start has its span below the request that has asked for it first.
    const links = wake.span ? [wake.span.traceparent] : [];
    for (const [name, ms] of [
      ["proxy.queue", wake.queueMs],
      ["proxy.start", wake.startMs],
      ["proxy.readiness", wake.readyMs],
    ] as const) {
      const partEndUs = startUs + 1_000 * ms;
      const part = { name, startUs, endUs: partEndUs, attributes, parent };
      startUs = partEndUs;
      if (name !== "proxy.start") recordSpan(part);
      else if (wake.span?.parent !== parent) recordSpan({ ...part, links });
    }
  }
}

/** Returns what is known of it as attributes of a span. */
export function attributesOf({ app, org, machineId }: Found): Attributes {
  return { [attribute.app]: app, [attribute.org]: org, [attribute.machineId]: machineId };
}

/** @param parent goes on where nothing traces */
function traceparentOf(span: Span, parent: string): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  if (traceId !== INVALID_TRACEID) return `00-${traceId}-${spanId}-0${traceFlags & 1}`;
  return TRACEPARENT.test(parent) ? parent : "";
}
