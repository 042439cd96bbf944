import * as grpc from "@grpc/grpc-js";
import { context } from "@opentelemetry/api";
import type { TokenVerifier } from "../../auth/auth.ts";
import type { Claims } from "../../auth/claims.ts";
import { EndOfRequests } from "../../runtime/confirm-end.ts";
import { callState } from "../call-state.ts";
import { ServedCall } from "../observe.ts";
import { toServiceError } from "../status.ts";
import type { Edge } from "./edge/edge.ts";

export interface InterceptOptions {
  /** Aborts when the server begins to shut down. */
  readonly draining: AbortSignal;
  readonly edge: Edge;
  /** Whether a method, by its path, takes calls without a token. */
  isOpen(path: string): boolean;
  /** Checks the token of every call; without it nobody is asked. */
  readonly verifier?: TokenVerifier | undefined;
}

/**
 * All that a server of ours does with a call around its handler: traces and measures it, tells the handler when the server is shutting down, checks
 * the token, and confirms the end of what is streamed. One interceptor for all of it, since each that grpc-js is given wraps the call and every
 * message of it once more.
 */
export function intercept({ draining, edge, isOpen, verifier }: InterceptOptions): grpc.ServerInterceptor {
  return (method, call) => {
    const { path } = method;
    const served = new ServedCall(path);
    const end = method.requestStream ? new EndOfRequests() : undefined;
    const { arriving } = edge;

    const refuse = (err: unknown): void => {
      if (arriving) edge.refused(arriving);
      const { code, details, metadata } = toServiceError(err);
      call.sendStatus(served.ended({ code, details, metadata }));
    };

    /** Returns whether the call may go on. */
    const identify = (claims: Claims): boolean => {
      try {
        if (arriving) edge.identified(arriving, claims);
        return true;
      } catch (err) {
        refuse(err);
        return false;
      }
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
            const open = isOpen(path);
            if (!verifier || (open && authorization === undefined)) {
              goOn();
              return;
            }
            const verified = (claims: Claims) => {
              state.claims = claims;
              if (identify(claims)) goOn();
            };
            const known = verifier.known(authorization);
            if (known) verified(known);
            else verifier.verify(authorization).then(verified, open ? goOn : refuse);
          },
          // Each of these arrives from the socket on its own; without this the handler would see no context.
          onReceiveMessage: (message, proceed) => context.with(served.context, proceed, undefined, message),
          onReceiveHalfClose(proceed) {
            const inContext = () => context.with(served.context, proceed);
            if (end) end.came(inContext);
            else inContext();
          },
          onCancel() {
            end?.broken();
            served.cancelled(Number(call.getDeadline()));
          },
        });
      },
      sendStatus: (status, next) => next(served.ended(status)),
    });
  };
}
