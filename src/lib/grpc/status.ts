import * as grpc from "@grpc/grpc-js";
import { trace } from "@opentelemetry/api";
import type { Any } from "../../gen/google/protobuf/any.ts";
import { BadRequest, ErrorInfo, RetryInfo } from "../../gen/google/rpc/error_details.ts";
import { Status } from "../../gen/google/rpc/status.ts";
import { type Code, Fault, type Violation } from "../faults/fault.ts";
import { durationFromProto, durationToProto } from "./messages/duration.ts";
import { mapFromProto } from "./messages/maps.ts";

/** The domain of every error reason of this system, on the wire. */
const ERROR_DOMAIN = "windhover.dev";

const DETAILS_KEY = "grpc-status-details-bin";
// HTTP/2 peers refuse header blocks beyond 16 to 64 KiB, and then the whole error is lost. So each part is bounded.
const MAX_MESSAGE = 2_048;
const MAX_FACTS = 32;
const MAX_FACT = 2_048;
const MAX_ALL_FACTS = 16 * 1_024;
const MAX_VIOLATIONS = 32;
const MAX_DESCRIPTION = 256;

/** Faults that came from another service, so the edge can tell our caller's mistakes from our own. */
const fromPeer = new WeakSet<Fault>();

/**
 * What to tell the caller about any error. A {@link Fault} is told as it is; anything else becomes
 * INTERNAL / `INTERNAL` with a fixed text and the trace id, and keeps the error as its cause, for the log only.
 */
export function asFault(err: unknown): Fault {
  if (err instanceof Fault) {
    // A peer that refuses *our* token is our misconfiguration; passed on, it would blame the caller's.
    const ours = fromPeer.has(err) && (err.code === "UNAUTHENTICATED" || err.reason === "SCOPE_MISSING");
    return ours ? internal(err) : err;
  }
  return isServiceError(err) ? asFault(fromServiceError(err)) : internal(err);
}

/** The error to hand to grpc-js so that its client receives code, reason, facts and violations. */
export function toServiceError(err: unknown): grpc.ServiceError {
  const fault = asFault(err);
  const metadata = new grpc.Metadata();
  metadata.set(DETAILS_KEY, encodeDetails(fault));
  const details = clean(fault.message, MAX_MESSAGE);
  return Object.assign(new Error(details), { code: grpc.status[fault.code], details, metadata });
}

/**
 * The fault behind an error of a gRPC call. One that carries no reason of ours was made by gRPC itself:
 * UNAVAILABLE becomes `PEER_UNAVAILABLE`, anything else has its code's name for a reason.
 *
 * @param address of the peer, for the facts
 */
export function fromServiceError(err: unknown, address?: string): Fault {
  if (err instanceof Fault) return err;
  if (!isServiceError(err)) {
    return new Fault("UNKNOWN", "UNKNOWN", "the call failed", where(address), { cause: err });
  }
  const code = codeName(err.code);
  const fault = decodeDetails(err, code) ?? bare(err, code, address);
  fromPeer.add(fault);
  return fault;
}

/** The fault behind an error that a handler of this process answered a call with. */
export function ownFault(err: grpc.ServiceError): Fault {
  const code = codeName(err.code);
  return decodeDetails(err, code) ?? bare(err, code, undefined);
}

/** Returns the reason that a status carries; empty when it has none. */
export function reasonOf(metadata: grpc.Metadata): string {
  const raw = metadata.get(DETAILS_KEY)[0];
  try {
    return (Buffer.isBuffer(raw) && unpack(Status.decode(raw).details, ErrorInfo)?.reason) || "";
  } catch {
    return "";
  }
}

/** The name of a numeric status code; UNKNOWN for one that does not exist. */
export function codeName(code: number): Code {
  const name = grpc.status[code];
  // The enum's names other than OK are exactly those of Code.
  return name === undefined || name === "OK" ? "UNKNOWN" : (name as Code);
}

function internal(cause: unknown): Fault {
  const traceId = trace.getActiveSpan()?.spanContext().traceId;
  const facts = traceId === undefined ? {} : { trace_id: traceId };
  const hint = traceId === undefined ? "" : `; the logs have the details under trace ${traceId}`;
  return new Fault("INTERNAL", "INTERNAL", `something went wrong inside the service${hint}`, facts, {
    cause,
  });
}

function bare(err: grpc.ServiceError, code: Code, address: string | undefined): Fault {
  if (code === "UNAVAILABLE") {
    const peer = address ?? "the service";
    return new Fault(code, "PEER_UNAVAILABLE", `${peer} cannot be reached`, where(address), { cause: err });
  }
  return new Fault(code, code, err.details || `the call failed with ${code}`, where(address), { cause: err });
}

function where(address: string | undefined): Record<string, string> {
  return address === undefined ? {} : { address };
}

function encodeDetails(fault: Fault): Buffer {
  const info = ErrorInfo.encode({
    reason: fault.reason.slice(0, 63),
    domain: ERROR_DOMAIN,
    metadata: factsToProto(fault.facts),
  });
  const details = [pack(ErrorInfo.$type, info.finish())];
  if (fault.violations.length > 0) {
    const fieldViolations = fault.violations.slice(0, MAX_VIOLATIONS).map((v) => ({
      field: clean(v.field, 128),
      description: clean(v.description, MAX_DESCRIPTION),
      reason: "",
      localizedMessage: undefined,
    }));
    details.push(pack(BadRequest.$type, BadRequest.encode({ fieldViolations }).finish()));
  }
  if (fault.retryAfterMs !== undefined) {
    const retryDelay = durationToProto(Math.max(0, Math.round(fault.retryAfterMs)));
    details.push(pack(RetryInfo.$type, RetryInfo.encode({ retryDelay }).finish()));
  }
  const message = clean(fault.message, MAX_MESSAGE);
  return Buffer.from(Status.encode({ code: grpc.status[fault.code], message, details }).finish());
}

function factsToProto(facts: Fault["facts"]): Map<string, string> {
  let room = MAX_ALL_FACTS;
  return new Map(
    Object.entries(facts)
      .slice(0, MAX_FACTS)
      .map(([name, value]) => {
        const text = clean(String(value), Math.max(1, Math.min(MAX_FACT, room)));
        room -= text.length;
        return [clean(name, 64), text];
      }),
  );
}

function decodeDetails(err: grpc.ServiceError, code: Code): Fault | undefined {
  try {
    const raw = err.metadata?.get(DETAILS_KEY)[0];
    if (!Buffer.isBuffer(raw)) return undefined;
    const details = Status.decode(raw).details;
    const info = unpack(details, ErrorInfo);
    if (!info) return undefined;
    const violations: readonly Violation[] =
      unpack(details, BadRequest)?.fieldViolations.map(({ field, description }) => ({
        field,
        description,
      })) ?? [];
    const delay = unpack(details, RetryInfo)?.retryDelay;
    const retry = delay ? { retryAfterMs: durationFromProto(delay) } : {};
    return new Fault(code, info.reason, err.details, mapFromProto(info.metadata), {
      cause: err,
      violations,
      ...retry,
    });
  } catch {
    // Details we cannot read leave what the status itself says.
    return undefined;
  }
}

function pack(type: string, value: Uint8Array): Any {
  return { typeUrl: `type.googleapis.com/${type}`, value: Buffer.from(value) };
}

function unpack<T>(
  details: readonly Any[],
  codec: { readonly $type: string; decode(bytes: Uint8Array): T },
): T | undefined {
  const any = details.find((d) => d.typeUrl.endsWith(`/${codec.$type}`));
  return any && codec.decode(any.value);
}

function isServiceError(err: unknown): err is grpc.ServiceError {
  return err instanceof Error && "code" in err && typeof err.code === "number" && "details" in err;
}

/** Bounded, and with lone surrogates replaced: grpc-js runs the text through `encodeURI`, which throws on them. */
function clean(value: string, max: number): string {
  return (value.length <= max ? value : `${value.slice(0, max - 1)}…`).toWellFormed();
}
