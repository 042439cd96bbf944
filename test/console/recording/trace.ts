import type { Attributes, Span, SpanKind } from "../../../src/lib/latency/span.ts";
import type { Random } from "./random.ts";

interface SpanOptions {
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
  /** Reason of the fault that the span ended with. */
  readonly reason?: string;
  readonly version?: string;
}

/** A span that has begun. Times are in microseconds since the epoch. */
export interface Begun {
  readonly id: string;
  readonly startUs: number;
}

/** The spans of one trace, written as they would end. */
export class TraceWriter {
  readonly traceId: string;
  readonly spans: Span[] = [];
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
    this.traceId = random.hex(32);
  }

  begin(startUs: number): Begun {
    return { id: this.#random.hex(16), startUs };
  }

  /** Ends a span at an instant. */
  end(
    begun: Begun,
    parent: Begun | undefined,
    service: string,
    name: string,
    endUs: number,
    options: SpanOptions = {},
  ): void {
    const { kind = "internal", attributes = {}, reason, version } = options;
    this.spans.push({
      trace_id: this.traceId,
      span_id: begun.id,
      ...(parent ? { parent_span_id: parent.id } : {}),
      ...{ name, service, kind },
      ...(version === undefined ? {} : { service_version: version }),
      start_us: begun.startUs,
      duration_us: Math.round(endUs - begun.startUs),
      status: reason === undefined ? "unset" : "error",
      ...(reason === undefined ? {} : { status_message: `${reason}: as recorded` }),
      attributes: reason === undefined ? attributes : { ...attributes, "windhover.error.reason": reason },
    });
  }

  /** Writes a span without children. Returns when it ended. */
  span(
    parent: Begun | undefined,
    service: string,
    name: string,
    startUs: number,
    us: number,
    options: SpanOptions = {},
  ): number {
    this.end(this.begin(startUs), parent, service, name, startUs + us, options);
    return startUs + us;
  }
}
