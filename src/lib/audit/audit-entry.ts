import * as z from "zod";

/** One line of the audit log: who did or tried what, and what came of it. */
export interface AuditEntry {
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
  /** Full name of the RPC. */
  readonly method: string;
  readonly action: string;
  /** Kind and name of what the call is about; empty when it is about nothing in particular. */
  readonly kind: string;
  readonly object: string;
  /** Empty for callers that nobody has verified. */
  readonly subject: string;
  readonly org: string;
  /** Id of the token. */
  readonly token: string;
  /** gRPC code by name, and the reason of a fault. */
  readonly code: string;
  readonly reason: string;
  readonly traceId: string;
  /** `address:port` of the caller. */
  readonly client: string;
  /** How many refusals the line stands for. */
  readonly count: number;
}

/** Takes entries. Must neither wait nor throw. */
export interface AuditSink {
  record(entry: AuditEntry): void;
}

const MAX_TEXT = 256;

const line = z.object({
  time: z.string(),
  method: z.string(),
  action: z.string(),
  kind: z.string().default(""),
  object: z.string().default(""),
  subject: z.string().default(""),
  org: z.string().default(""),
  token: z.string().default(""),
  code: z.string(),
  reason: z.string().default(""),
  trace_id: z.string().default(""),
  client: z.string().default(""),
  count: z.number().default(1),
});

/** Writes an entry as a line of JSON, without what is empty. */
export function toLine(entry: AuditEntry): string {
  const { client, count, ...fields } = fieldsOf(entry);
  const time = new Date(entry.timeMs).toISOString();
  return JSON.stringify({ time, ...fields, client, trace_id: text(entry.traceId), count });
}

/** Returns the fields of an entry under the names of the log, without time and trace; undefined for what is empty. */
export function fieldsOf(entry: AuditEntry) {
  return {
    method: text(entry.method),
    action: text(entry.action),
    kind: text(entry.kind),
    object: text(entry.object),
    subject: text(entry.subject),
    org: text(entry.org),
    token: text(entry.token),
    code: text(entry.code),
    reason: text(entry.reason),
    client: text(entry.client),
    count: entry.count > 1 ? entry.count : undefined,
  };
}

function text(value: string): string | undefined {
  return value === "" ? undefined : value.slice(0, MAX_TEXT);
}

/** Reads a line; undefined for one that is not whole. */
export function fromLine(text: string): AuditEntry | undefined {
  try {
    const { time, trace_id: traceId, ...rest } = line.parse(JSON.parse(text));
    return { ...rest, timeMs: Date.parse(time), traceId };
  } catch {
    return undefined;
  }
}
