import { type Metadata, type ServiceError, status } from "@grpc/grpc-js";
import type { Any } from "../gen/google/protobuf/any.ts";
import { BadRequest, ErrorInfo, RetryInfo } from "../gen/google/rpc/error_details.ts";
import { Status } from "../gen/google/rpc/status.ts";
import { toMs } from "../values/duration.ts";

const DETAILS_KEY = "grpc-status-details-bin";

/** Names of the gRPC status codes of errors. */
export type Code = Exclude<keyof typeof status, "OK">;

/** A field of a request that is not valid. */
export interface Violation {
  /** Path of the field, e.g. `config.guest.memory_mb`. */
  readonly field: string;
  /** What is wrong, and what would be right. */
  readonly description: string;
}

/** Parts of an error besides its message. */
export interface ErrorDetails {
  readonly facts?: Readonly<Record<string, string>>;
  readonly violations?: readonly Violation[];
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** An error of the API, or of the way to it. */
export class WindhoverError extends Error {
  override readonly name = "WindhoverError";
  /** The gRPC status code, e.g. `NOT_FOUND`. */
  readonly code: Code;
  /** The stable reason, e.g. `MACHINE_NOT_FOUND`. Programs branch on it. */
  readonly reason: string;
  /** The variable parts of the message by name, e.g. `owner` of `LEASE_HELD`. */
  readonly facts: Readonly<Record<string, string>>;
  /** Every wrong field of `INVALID_FIELDS`. */
  readonly violations: readonly Violation[];
  /** How long the server asks to wait before a retry, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(code: Code, reason: string, message: string, details: ErrorDetails = {}) {
    super(message, "cause" in details ? { cause: details.cause } : {});
    this.code = code;
    this.reason = reason;
    this.facts = details.facts ?? {};
    this.violations = details.violations ?? [];
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Whether an error is a {@link WindhoverError}, of one of the reasons if any are given. */
export function isWindhoverError(err: unknown, ...reasons: readonly string[]): err is WindhoverError {
  // By name, since a program may have the package as ESM and as CommonJS.
  if (!(err instanceof Error) || err.name !== "WindhoverError" || !("reason" in err)) return false;
  return reasons.length === 0 || reasons.includes(String(err.reason));
}

/**
 * Converts an error of a gRPC call. One without a reason of the server's was made on the way:
 * UNAVAILABLE becomes `NOT_CONNECTED` when the request was never sent, otherwise `CONNECTION_LOST`.
 */
export function fromCall(err: unknown, address: string): WindhoverError {
  if (err instanceof WindhoverError) return err;
  if (!isServiceError(err)) {
    const message = err instanceof Error ? err.message : String(err);
    return new WindhoverError("UNKNOWN", "UNKNOWN", message, { facts: { address }, cause: err });
  }
  return fromDetails(err) ?? withoutDetails(err, address);
}

/** Converts the reason of an aborted call. */
export function fromAbort(signal: AbortSignal): WindhoverError {
  const cause: unknown = signal.reason;
  if (cause instanceof WindhoverError) return cause;
  const isTimeout = cause instanceof Error && cause.name === "TimeoutError";
  return isTimeout
    ? new WindhoverError("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "the time is over", { cause })
    : new WindhoverError("CANCELLED", "CANCELLED", "the call was cancelled", { cause });
}

function withoutDetails(err: ServiceError, address: string): WindhoverError {
  const code = codeName(err.code);
  const extra = { facts: { address }, cause: err };
  // Only the message of grpc-js says whether a request was sent.
  if (/^No connection established|^Name resolution failed|^Failed to connect/.test(err.details)) {
    return new WindhoverError("UNAVAILABLE", "NOT_CONNECTED", `${address} cannot be reached`, extra);
  }
  // A server that is cut off resets its streams, which grpc-js reports as cancelled calls.
  const isReset = code === "CANCELLED" || (code === "INTERNAL" && /^Received RST_STREAM/.test(err.details));
  if (code === "UNAVAILABLE" || isReset) {
    return new WindhoverError("UNAVAILABLE", "CONNECTION_LOST", `${address} has gone`, extra);
  }
  return new WindhoverError(code, code, err.details || `the call failed with ${code}`, extra);
}

function fromDetails(err: ServiceError): WindhoverError | undefined {
  const details = detailsOf(err.metadata);
  const info = unpack(details, ErrorInfo);
  if (!info) return undefined;
  const delay = unpack(details, RetryInfo)?.retryDelay;
  return new WindhoverError(codeName(err.code), info.reason, err.details, {
    facts: info.metadata,
    violations: (unpack(details, BadRequest)?.fieldViolations ?? []).map(({ field, description }) => ({
      field,
      description,
    })),
    retryAfterMs: delay && toMs(delay),
    cause: err,
  });
}

function detailsOf(metadata: Metadata | undefined): readonly Any[] {
  const raw = metadata?.get(DETAILS_KEY)[0];
  try {
    return raw instanceof Uint8Array ? Status.decode(raw).details : [];
  } catch {
    // Without readable details, the status alone counts.
    return [];
  }
}

function unpack<T>(
  details: readonly Any[],
  codec: { readonly $type: string; decode(bytes: Uint8Array): T },
): T | undefined {
  const any = details.find(({ typeUrl }) => typeUrl.endsWith(`/${codec.$type}`));
  try {
    return any && codec.decode(any.value);
  } catch {
    return undefined;
  }
}

function codeName(code: number): Code {
  const name = status[code];
  // The names other than OK are those of Code.
  return name === undefined || name === "OK" ? "UNKNOWN" : (name as Code);
}

function isServiceError(err: unknown): err is ServiceError {
  return err instanceof Error && "code" in err && typeof err.code === "number" && "details" in err;
}
