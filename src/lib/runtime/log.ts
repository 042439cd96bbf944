import { trace } from "@opentelemetry/api";
import { Fault } from "../faults/fault.ts";

/** error: a person must look; warn: odd but handled; info: a change of state; debug: the rest. */
export const LEVELS = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof LEVELS)[number];

/** Named values of a line. What JSON cannot hold is converted; an error becomes its chain of causes. */
export type Facts = Readonly<Record<string, unknown>>;

/** Writes JSON lines: a constant message, facts as fields, and the ids of the active span. */
export interface Logger {
  debug(msg: string, facts?: Facts): void;
  info(msg: string, facts?: Facts): void;
  warn(msg: string, facts?: Facts): void;
  error(msg: string, facts?: Facts): void;
  /** Returns this logger with facts added to every line. */
  with(facts: Facts): Logger;
}

export interface LogOptions {
  /** Lines below are dropped. Default: `info`. */
  readonly level?: Level;
  /** Takes one line, newline included. Default: standard output. */
  readonly write?: (line: string) => void;
}

const RANK: Readonly<Record<Level, number>> = { debug: 10, info: 20, warn: 30, error: 40 };
/** Longer texts are cut: one line must not fill a disk. */
const MAX_TEXT = 8_192;
const MAX_CAUSES = 8;

let root: Logger = build({}, {});

/** Makes the logger of the program. {@link logger} writes through it from then on. */
export function createLogger(service: string, options: LogOptions = {}): Logger {
  root = build({ service }, options);
  return root;
}

/** The logger of the program, for code that is not given one. */
export const logger: Logger = {
  debug: (msg, facts) => root.debug(msg, facts),
  info: (msg, facts) => root.info(msg, facts),
  warn: (msg, facts) => root.warn(msg, facts),
  error: (msg, facts) => root.error(msg, facts),
  with: (facts) => root.with(facts),
};

/** Returns an error as plain data: message, reason, stack, and the chain of its causes. */
export function describeError(err: unknown, depth = 0): unknown {
  if (!(err instanceof Error)) return plain(err, depth + 1);
  const fault = err instanceof Fault ? { code: err.code, reason: err.reason, facts: err.facts } : {};
  const code = !(err instanceof Fault) && "code" in err ? { code: plain(err.code, depth + 1) } : {};
  const cause =
    err.cause !== undefined && depth < MAX_CAUSES ? { cause: describeError(err.cause, depth + 1) } : {};
  const errors =
    err instanceof AggregateError && depth < MAX_CAUSES
      ? { errors: err.errors.slice(0, 10).map((e: unknown) => describeError(e, depth + 1)) }
      : {};
  return {
    type: err.name,
    message: cut(err.message),
    ...fault,
    ...code,
    stack: cut(err.stack ?? ""),
    ...errors,
    ...cause,
  };
}

function build(base: Facts, options: LogOptions): Logger {
  const floor = RANK[options.level ?? "info"];
  const write = options.write ?? toStdout;
  const at =
    (level: Level) =>
    (msg: string, facts: Facts = {}) => {
      if (RANK[level] < floor) return;
      write(`${JSON.stringify(line(level, msg, { ...base, ...facts }))}\n`);
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: (facts) => build({ ...base, ...facts }, options),
  };
}

function line(level: Level, msg: string, facts: Facts): Record<string, unknown> {
  const span = trace.getActiveSpan()?.spanContext();
  const fields: Record<string, unknown> = { time: new Date().toISOString(), level, msg };
  if (span) {
    fields["trace_id"] = span.traceId;
    fields["span_id"] = span.spanId;
  }
  for (const [name, value] of Object.entries(facts)) {
    // A fact must not replace one of the line's own fields.
    fields[name in fields ? `fact_${name}` : name] = plain(value, 0);
  }
  return fields;
}

function plain(value: unknown, depth: number): unknown {
  if (typeof value === "string") return cut(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "function" || typeof value === "symbol") return String(value);
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Error) return describeError(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (ArrayBuffer.isView(value)) return `<${value.byteLength} bytes>`;
  if (depth > 4) return "…";
  if (value instanceof Map || value instanceof Set) return plain([...value].slice(0, 100), depth + 1);
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => plain(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, 100)
      .map(([key, item]) => [key, plain(item, depth + 1)]),
  );
}

function cut(value: string): string {
  return value.length <= MAX_TEXT ? value : `${value.slice(0, MAX_TEXT)}…(${value.length} characters)`;
}

let isWatched = false;

function toStdout(text: string): void {
  if (!isWatched) {
    isWatched = true;
    // A reader that closes its end of the pipe must not end the service.
    process.stdout.on("error", () => {});
  }
  process.stdout.write(text);
}
