import * as grpc from "@grpc/grpc-js";
import { context } from "@opentelemetry/api";
import type { Claims } from "../../auth/claims.ts";
import { EndOfRequests } from "../../runtime/confirm-end.ts";
import { callState } from "../call-state.ts";
import { ServedCall } from "../observed/observe.ts";
import { toServiceError } from "../status.ts";
import type { Edge } from "./edge/edge.ts";
import { LiveCalls } from "./edge/live-calls.ts";
import { GuardedCall, type GuardOptions } from "./guarded-call.ts";

export interface InterceptOptions {
  /** Aborts when the server begins to shut down. */
  readonly draining: AbortSignal;
  readonly edge: Edge;
  /** Whether a method, by its path, takes calls without a token. */
  isOpen(path: string): boolean;
  /** Checks every call, except of open methods; without it nobody is asked. */
  readonly guard?: GuardOptions | undefined;
}

/**
 * All that a server of ours does with a call around its handler: traces and measures it, tells the handler when the server is shutting down, checks
 * who calls, and confirms the end of what is streamed. One interceptor for all of it, since each that grpc-js is given wraps the call and every
 * message of it once more.
 */
export function intercept({ draining, edge, isOpen, guard }: InterceptOptions): grpc.ServerInterceptor {
  const live = guard && new LiveCalls();
  return (method, call) => {
    const { path } = method;
    const served = new ServedCall(path);
    const end = method.requestStream ? new EndOfRequests() : undefined;
    const guarded = guard && !isOpen(path) ? new GuardedCall(guard, path, call.getPeer()) : undefined;
    const { arriving } = edge;
    arriving?.call.boundDecompression(call);
    let isRefused = false;

    /** Ends a call at once: its request may still be coming. */
    const refuse = (err: unknown): void => call.sendStatus(refusal(err));
    /** Answers a call of which nothing more is read. */
    const refuseUnread = (err: unknown): void => {
      const status = refusal(err);
      if (arriving) edge.answerRefusal(arriving, () => call.sendStatus(status));
      else call.sendStatus(status);
    };
    const refusal = (err: unknown) => {
      isRefused = true;
      if (arriving) edge.refused(arriving);
      const { code, details, metadata } = toServiceError(err);
      guarded?.ended(code, metadata, served.traceId);
      return served.ended({ code, details, metadata });
    };
    /** Goes on unless `check` throws. */
    const unless = (check: () => void, goOn: () => void): void => {
      try {
        check();
      } catch (err) {
        refuseUnread(err);
        return;
      }
      goOn();
    };

    /** Set while it is looked up whether a request is allowed; what comes meanwhile waits, in its order. */
    let held: Promise<void> | undefined;
    const hold = (allowed: Promise<void> | undefined): void => {
      held = allowed?.catch(refuseUnread);
    };
    const afterHeld = (goOn: () => void): void => {
      held = held?.then(() => {
        if (!isRefused) goOn();
      });
    };

    return new grpc.ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, proceed) {
            served.received(metadata);
            const state = callState(metadata);
            state.draining = draining;
            const goOn = () => context.with(served.context, proceed, undefined, metadata);
            arriving?.call.onRefused(refuse);
            if (arriving?.call.refusal) {
              refuse(arriving.call.refusal);
              return;
            }
            const authorization = metadata.get("authorization")[0]?.toString();
            if (!guard || (!guarded && authorization === undefined)) {
              goOn();
              return;
            }
            const verified = (claims: Claims) => {
              state.claims = claims;
              const check = () => {
                guarded?.admit(claims);
                if (!arriving) return;
                edge.identified(arriving, claims);
                if (guarded?.endsEarly) live?.add(arriving.call, guarded);
              };
              unless(check, goOn);
            };
            const known = guard.verifier.known(authorization);
            if (known) verified(known);
            else
              edge
                .verify(arriving, () => guard.verifier.verify(authorization))
                .then(verified, guarded ? refuseUnread : goOn);
          },
          // Each of these arrives from the socket on its own; without this the handler would see no context.
          onReceiveMessage(message, proceed) {
            if (isRefused) return;
            const goOn = () => context.with(served.context, proceed, undefined, message);
            if (!guarded) return goOn();
            if (held !== undefined) return afterHeld(goOn);
            unless(
              () => hold(guarded.request(message)),
              () => (held === undefined ? goOn() : afterHeld(goOn)),
            );
          },
          onReceiveHalfClose(proceed) {
            if (isRefused) return;
            const inContext = () => context.with(served.context, proceed);
            const goOn = () => (end ? end.came(inContext) : inContext());
            if (held !== undefined) afterHeld(goOn);
            else goOn();
          },
          onCancel() {
            end?.broken();
            const code = served.cancelled(Number(call.getDeadline()));
            guarded?.ended(code, undefined, served.traceId);
          },
        });
      },
      // The handler of a call that was refused meanwhile may not have noticed yet.
      sendMessage(message, next) {
        if (isRefused) return;
        guarded?.response(message);
        next(message);
      },
      sendStatus(status, next) {
        if (isRefused) return;
        guarded?.ended(status.code ?? grpc.status.UNKNOWN, status.metadata, served.traceId);
        next(served.ended(status));
      },
    });
  };
}
