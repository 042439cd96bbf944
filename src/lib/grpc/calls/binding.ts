import * as grpc from "@grpc/grpc-js";
import { Fault } from "../../faults/fault.ts";
import { onAbort } from "../../runtime/abort.ts";
import type { CallContext } from "../serving.ts";
import { fromServiceError } from "../status.ts";

/** How a call is bound: in time, to the call being served, and to whatever else may end it. */
export interface CallScope {
  /** How long it may take, in milliseconds. `Infinity` only for streams that have no end of their own. */
  readonly timeoutMs: number;
  /** Cancels the call when it aborts. */
  readonly signal?: AbortSignal;
  /** The call being served: its deadline and its end bound this one too. */
  readonly parent?: CallContext;
  readonly metadata?: grpc.Metadata;
  /** Wait for a connection instead of failing at once without one. For background loops only. */
  readonly waitForReady?: boolean;
}

/** A call's scope put into effect. */
export interface Binding {
  readonly metadata: grpc.Metadata;
  readonly options: Partial<grpc.CallOptions>;
  /** Calls `cancel` when the scope ends before the call does. */
  onCancel(cancel: () => void): void;
  /** The call has ended. */
  release(): void;
  /** What an error of the call means: the abort's own fault when that is what ended it. */
  fault(err: unknown, client: grpc.Client): Fault;
}

/**
 * Puts a scope into effect.
 *
 * @throws Fault when the scope has ended already
 */
export function bind(scope: CallScope): Binding {
  const signals = [scope.signal, scope.parent?.signal].filter((signal) => signal !== undefined);
  const aborted = () => signals.find((signal) => signal.aborted);
  const ended = aborted();
  if (ended) throw abortFault(ended);
  let cancel: (() => void) | undefined;
  const heard = () => cancel?.();
  // Own listeners instead of grpc-js's `parent`: those would stay on a long-lived parent stream, one per call made for it.
  const listeners = signals.map((signal) => onAbort(signal, heard));
  const deadline = deadlineOf(scope);
  // Cloned: interceptors add to it, and a caller may use the same metadata for many calls.
  const metadata = scope.metadata?.clone() ?? new grpc.Metadata();
  if (scope.waitForReady) metadata.setOptions({ waitForReady: true });
  return {
    metadata,
    options: deadline === Number.POSITIVE_INFINITY ? {} : { deadline },
    onCancel: (fn) => {
      cancel = fn;
    },
    release: () => {
      for (const listener of listeners) listener[Symbol.dispose]();
    },
    fault: (err, client) => {
      const by = aborted();
      return by ? abortFault(by) : fromServiceError(err, addressOf(client));
    },
  };
}

/** Where a client connects to, as it was given to it. */
function addressOf(client: grpc.Client): string {
  return client
    .getChannel()
    .getTarget()
    .replace(/^dns:(?:\/\/\/)?/, "");
}

// The server counts the time left in 32 bits of milliseconds and fails at once beyond them.
const LONGEST_MS = 20 * 86_400_000;

function deadlineOf(scope: CallScope): number {
  const own =
    scope.timeoutMs === Number.POSITIVE_INFINITY
      ? scope.timeoutMs
      : Date.now() + Math.min(scope.timeoutMs, LONGEST_MS);
  const inherited = scope.parent ? Number(scope.parent.call.getDeadline()) : Number.POSITIVE_INFINITY;
  return Math.min(own, inherited);
}

function abortFault(signal: AbortSignal): Fault {
  const reason: unknown = signal.reason;
  if (reason instanceof Fault) return reason;
  return reason instanceof DOMException && reason.name === "TimeoutError"
    ? new Fault("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "the time is over", {}, { cause: reason })
    : new Fault("CANCELLED", "CANCELLED", "the call was cancelled", {}, { cause: reason });
}
