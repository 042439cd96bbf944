import type { Attributes, Span } from "../span.ts";

/** A span in short: times in microseconds from some start. */
export interface SpanSketch {
  readonly id: string;
  readonly parent?: string;
  readonly name?: string;
  readonly service?: string;
  readonly kind?: Span["kind"];
  readonly at: number;
  readonly for: number;
  readonly status?: Span["status"];
  readonly instance?: string;
  readonly version?: string;
  readonly attributes?: Attributes;
}

export const START_US = 1_764_000_000_000_000;

/** Makes a span for tests of analyses. */
export function sketch(of: SpanSketch): Span {
  return {
    trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
    span_id: of.id,
    ...(of.parent === undefined ? {} : { parent_span_id: of.parent }),
    name: of.name ?? of.id,
    service: of.service ?? "hostd",
    ...(of.version === undefined ? {} : { service_version: of.version }),
    ...(of.instance === undefined ? {} : { instance: of.instance }),
    kind: of.kind ?? "internal",
    start_us: START_US + of.at,
    duration_us: of.for,
    status: of.status ?? "unset",
    attributes: of.attributes ?? {},
  };
}
