import type * as grpc from "@grpc/grpc-js";
import type { Fault } from "../../lib/faults/fault.ts";
import { callState } from "../../lib/grpc/call-state.ts";
import { recordTurn } from "../../lib/grpc/observed/handler-times.ts";
import type { RefusalPace } from "../../lib/grpc/server/edge/pace/refusal-pace.ts";
import { toServiceError } from "../../lib/grpc/status.ts";
import { nowUs } from "../../lib/otel/tracing.ts";
import { actionOf } from "./actions.ts";
import { rateLimitedCalls } from "./metrics.ts";
import type { Action } from "./rates.ts";
import type { Shares } from "./shares.ts";
import type { CallTurns, DatabaseTurns } from "./turns/call-turns.ts";
import { Turns } from "./turns/turns.ts";

/** Bytes of a list's answer that cost a token. */
const LIST_BYTES_PER_TOKEN = 4 * 1_024;

/** Tokens of a list whose caller has gone, as its size is not known. */
const CANCELLED_LIST_TOKENS = 100;
/** How long one may still be read. */
const CANCELLED_LIST_MS = 5_000;
/** Lists of an organisation that are read at a time; the others wait. */
const LISTS_AT_ONCE = 1;

/** Reads that ask a host. */
const ASKS_HOST = /\/(?:GetMachine|GetLease|ListProcesses)$/;

type Method = grpc.MethodDefinition<unknown, unknown>;
type Unary = grpc.handleUnaryCall<unknown, unknown>;
type Streaming = grpc.handleServerStreamingCall<unknown, unknown>;

/** A service as grpc-js takes it. */
export interface Served {
  readonly definition: grpc.ServiceDefinition;
  readonly implementation: grpc.UntypedServiceImplementation;
}

/** Limits on the calls of organisations, shared by all services of an api. */
export interface Bounds {
  readonly shares: Shares;
  readonly turns: CallTurns;
  /** Of calls that only need the database. */
  readonly databaseTurns: DatabaseTurns;
  readonly refusals: RefusalPace;
}

/**
 * Has every method of a service take a token of its caller's organisation first, and calls that are
 * soon answered wait for their turn. A call without token is refused with `RATE_LIMITED` before its
 * handler. Services, which have no organisation, are free.
 */
export function withShares(
  definition: grpc.ServiceDefinition,
  implementation: grpc.UntypedServiceImplementation,
  bounds: Bounds,
): Served {
  const methods = Object.entries(definition).map(([name, method]) => {
    // Only this service's definition knows which kind of handler it is.
    const handler = implementation[name] as Unary & Streaming;
    return method.responseStream
      ? { name, method, handler: limitStream(actionOf(method.path), handler, bounds) }
      : { name, ...limitUnary(method, handler, bounds) };
  });
  return {
    definition: Object.fromEntries(methods.map(({ name, method }) => [name, method])),
    implementation: Object.fromEntries(methods.map(({ name, handler }) => [name, handler])),
  };
}

function limitUnary(method: Method, handler: Unary, bounds: Bounds) {
  const action = actionOf(method.path);
  const isList = action === "read" && method.path.includes("/List") && !ASKS_HOST.test(method.path);
  if (isList) return limitList(method, handler, bounds);
  const served = action === "follow" ? handler : inTurns(handler, turnsOf(method, action, bounds));
  const limited: Unary = (call, callback) => {
    const refusal = refuse(bounds.shares, orgOf(call.metadata), action);
    if (refusal) bounds.refusals.answer(() => callback(toServiceError(refusal)));
    else served(call, callback);
  };
  return { method, handler: limited };
}

function turnsOf({ path }: Method, action: Action, { turns, databaseTurns }: Bounds) {
  const asksDatabase = action === "admin" || (action === "read" && !ASKS_HOST.test(path));
  return asksDatabase ? databaseTurns : turns;
}

function inTurns(handler: Unary, turns: CallTurns | DatabaseTurns): Unary {
  return (call, callback) => {
    const org = orgOf(call.metadata);
    if (org === "") return handler(call, callback);
    const startUs = nowUs();
    let waits = false;
    let hasBegun = false;
    const giveUp = turns.enter(org, (leave) => {
      hasBegun = true;
      if (waits) recordTurn(startUs);
      if (call.cancelled) return leave();
      handler(call, (...answer) => {
        callback(...answer);
        leave();
      });
    });
    waits = true;
    // Its request must not stay in memory: its place among the calls under way is free again.
    if (!hasBegun) call.once("cancelled", giveUp);
  };
}

/** Charges lists for the size of their answers, and reads few of an organisation's at a time. */
function limitList(method: Method, handler: Unary, { shares, refusals }: Bounds) {
  const charges = new ListCharges(shares);
  const turns = new Turns(LISTS_AT_ONCE);
  const limited: Unary = (call, callback) => {
    const org = orgOf(call.metadata);
    const refusal = refuse(shares, org, "read");
    if (refusal) return refusals.answer(() => callback(toServiceError(refusal)));
    if (org === "") return handler(call, callback);
    const giveUp = turns.enter(org, (leave) => {
      if (call.cancelled) return leave();
      // A handler whose caller has gone may end without an answer.
      call.once("cancelled", () => setTimeout(leave, CANCELLED_LIST_MS).unref());
      handler(call, (err, response, ...rest) => {
        if (call.cancelled) shares.charge(org, "read", CANCELLED_LIST_TOKENS);
        else charges.note(org, response);
        callState(call.metadata).chargeAnswer = (bytes) =>
          shares.charge(org, "read", bytes / LIST_BYTES_PER_TOKEN);
        callback(err, response, ...rest);
        leave();
      });
    });
    call.once("cancelled", giveUp);
  };
  return { method: charges.counting(method), handler: limited };
}

function limitStream(action: Action, handler: Streaming, { shares, refusals }: Bounds): Streaming {
  return (call) => {
    const refusal = refuse(shares, orgOf(call.metadata), action);
    if (refusal) refusals.answer(() => call.emit("error", toServiceError(refusal)));
    else handler(call);
  };
}

/** Charges lists for the size of their answers, which is known when they are encoded. */
class ListCharges {
  readonly #shares: Shares;
  readonly #orgs = new WeakMap<object, string>();

  constructor(shares: Shares) {
    this.#shares = shares;
  }

  note(org: string, response: unknown): void {
    if (typeof response === "object" && response !== null) this.#orgs.set(response, org);
  }

  counting(method: Method): Method {
    return {
      ...method,
      responseSerialize: (response) => {
        const bytes = method.responseSerialize(response);
        const org = typeof response === "object" && response !== null ? this.#orgs.get(response) : undefined;
        if (org !== undefined) this.#shares.charge(org, "read", bytes.length / LIST_BYTES_PER_TOKEN);
        return bytes;
      },
    };
  }
}

function refuse(shares: Shares, org: string, action: Action): Fault | undefined {
  if (org === "") return undefined;
  const refusal = shares.take(org, action);
  if (refusal) rateLimitedCalls.inc({ action });
  return refusal;
}

/** The organisation of the verified token; empty for services and for who has none. */
function orgOf(metadata: grpc.Metadata): string {
  return callState(metadata).claims?.org ?? "";
}
