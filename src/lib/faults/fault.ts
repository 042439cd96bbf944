/** The gRPC status codes by name, for code that does not import gRPC. */
export type Code =
  | "CANCELLED"
  | "UNKNOWN"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNAUTHENTICATED";

export interface Violation {
  /** Path of the field in the request, e.g. `config.guest.memory_mb`. */
  readonly field: string;
  /** For a person: what is wrong and what would be right. */
  readonly description: string;
}

export interface FaultExtra {
  /** Logged, never sent. */
  readonly cause?: unknown;
  /** The fields at fault; sent as `google.rpc.BadRequest`. */
  readonly violations?: readonly Violation[];
  /** When to retry, in milliseconds; sent as `google.rpc.RetryInfo`. */
  readonly retryAfterMs?: number;
}

/** An error that the caller sees: its class, which one it is, and its facts. */
export class Fault extends Error {
  override readonly name = "Fault";
  readonly code: Code;
  /** Which error it is: UPPER_SNAKE, stable, at most 63 characters. Callers branch on it. */
  readonly reason: string;
  /** Everything variable in the message, by name. */
  readonly facts: Readonly<Record<string, string>>;
  readonly violations: readonly Violation[];
  readonly retryAfterMs: number | undefined;

  /** @param message for a person; may be reworded, and does not repeat the cause's */
  constructor(
    code: Code,
    reason: string,
    message: string,
    facts: Readonly<Record<string, string>> = {},
    extra: FaultExtra = {},
  ) {
    super(message, "cause" in extra ? { cause: extra.cause } : {});
    this.code = code;
    this.reason = reason;
    this.facts = facts;
    this.violations = extra.violations ?? [];
    this.retryAfterMs = extra.retryAfterMs;
  }
}

/** Makes INVALID_ARGUMENT / `INVALID_FIELDS`. Its message lists all violations, for clients that show nothing else. */
export function invalid(violations: readonly Violation[]): Fault {
  const list = violations.map((v) => `${v.field}: ${v.description}`).join("; ");
  return new Fault(
    "INVALID_ARGUMENT",
    "INVALID_FIELDS",
    list || "the request is not valid",
    { fields: violations.map((v) => v.field).join(",") },
    { violations },
  );
}

const OWN_FAULTS: ReadonlySet<Code> = new Set<Code>([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

/** Whether errors of this class are the server's fault rather than the caller's. */
export function isServerFault(code: Code): boolean {
  return OWN_FAULTS.has(code);
}

export function hasReason(err: unknown, reason: string): err is Fault {
  return err instanceof Fault && err.reason === reason;
}
