/** The gRPC status codes by name. The domain speaks of classes of errors and never imports gRPC. */
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

/** One thing wrong with a request: which field, and what to do about it. */
export interface Violation {
  /** Path of the field in the request, e.g. `config.guest.memory_mb`. */
  readonly field: string;
  /** What is wrong and what would be right, for a person. */
  readonly description: string;
}

/** What a {@link Fault} may carry besides its class, reason, message and facts. */
export interface FaultExtra {
  /** What led to it. Logged, never sent. */
  readonly cause?: unknown;
  /** The fields at fault; sent as `google.rpc.BadRequest`. */
  readonly violations?: readonly Violation[];
  /** When trying again makes sense, in milliseconds; sent as `google.rpc.RetryInfo`. */
  readonly retryAfterMs?: number;
}

/** An error the caller is meant to see: what class it is, which one, and its facts. */
export class Fault extends Error {
  override readonly name = "Fault";
  /** Its class: decides whether to retry, and whose fault it is. */
  readonly code: Code;
  /** Which error it is: UPPER_SNAKE, stable, at most 63 characters. Callers branch on it. */
  readonly reason: string;
  /** Everything dynamic that the message mentions, by name. */
  readonly facts: Readonly<Record<string, string>>;
  /** The fields at fault, when it is about a request's fields. */
  readonly violations: readonly Violation[];
  /** When trying again makes sense, in milliseconds, when that is known. */
  readonly retryAfterMs: number | undefined;

  /**
   * @param code its class
   * @param reason which error it is, UPPER_SNAKE and stable
   * @param message for a person; may be reworded, and never repeats its cause's
   * @param facts everything dynamic in the message, by name
   */
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

/**
 * The fault for a request with wrong fields: INVALID_ARGUMENT / `INVALID_FIELDS`, carrying every one of them.
 * Its message lists them all, for people whose client shows nothing else.
 */
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

/** Whether an error of this class is the server's fault rather than the caller's. */
export function isServerFault(code: Code): boolean {
  return OWN_FAULTS.has(code);
}

/** Whether `err` is a fault with this reason. */
export function hasReason(err: unknown, reason: string): err is Fault {
  return err instanceof Fault && err.reason === reason;
}
