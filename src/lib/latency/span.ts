/** A value of a span attribute, reduced from OTLP's AnyValue. */
export type AttributeValue = string | number | boolean | readonly (string | number | boolean)[];

export type Attributes = Readonly<Record<string, AttributeValue>>;

export type SpanKind = "internal" | "server" | "client" | "producer" | "consumer";

interface SpanEvent {
  readonly name: string;
  /** Microseconds since the epoch. */
  readonly time_us: number;
  readonly attributes: Attributes;
}

/** A span that this one goes on from without being its child, e.g. the create that a resumed saga finishes. */
export interface SpanLink {
  readonly trace_id: string;
  readonly span_id: string;
}

/** A finished span, with the field names of the query API's JSON. */
export interface Span {
  /** 32 lower-case hex digits. */
  readonly trace_id: string;
  /** 16 lower-case hex digits. */
  readonly span_id: string;
  /** Absent for a root. */
  readonly parent_span_id?: string;
  readonly name: string;
  /** `service.name` of the resource; `unknown` when it has none. */
  readonly service: string;
  /** `service.version` of the resource; absent when it has none. */
  readonly service_version?: string;
  /** `service.instance.id` of the resource: the process, and with it the clock. Absent when it has none. */
  readonly instance?: string;
  readonly kind: SpanKind;
  /** Microseconds since the epoch. */
  readonly start_us: number;
  /** Microseconds. */
  readonly duration_us: number;
  readonly status: "unset" | "ok" | "error";
  readonly status_message?: string;
  readonly attributes: Attributes;
  readonly events?: readonly SpanEvent[];
  readonly links?: readonly SpanLink[];
}

const MACHINE_ATTRIBUTE = "windhover.machine.id";
const ORG_ATTRIBUTE = "windhover.org";

/** Returns the machine that a span is about, when it names a well-formed one. */
export function machineOf(span: Span): string | undefined {
  const id = span.attributes[MACHINE_ATTRIBUTE];
  return typeof id === "string" && /^[0-9a-f]{14}$/.test(id) ? id : undefined;
}

/** Returns the organisation that a span is about, when it names a well-formed one. */
export function orgOf(span: Span): string | undefined {
  const org = span.attributes[ORG_ATTRIBUTE];
  return typeof org === "string" && /^[a-z][a-z0-9-]{0,62}$/.test(org) ? org : undefined;
}
