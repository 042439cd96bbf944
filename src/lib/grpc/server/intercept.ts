import * as grpc from "@grpc/grpc-js";
import { context } from "@opentelemetry/api";
import { isOpen, type TokenVerifier } from "../../auth/auth.ts";
import { EndOfRequests } from "../../runtime/confirm-end.ts";
import { callState } from "../call-state.ts";
import { ServedCall } from "../observe.ts";
import { toServiceError } from "../status.ts";

/**
 * All that a server of ours does with a call around its handler: traces and measures it, tells the handler when the server is shutting down, checks
 * the token, and confirms the end of what is streamed. One interceptor for all of it, since each that grpc-js is given wraps the call and every
 * message of it once more.
 *
 * @param draining aborts when the server begins to shut down
 * @param verifier checks the token of every call, except of health and reflection; without it nobody is asked
 */
export function intercept(draining: AbortSignal, verifier?: TokenVerifier): grpc.ServerInterceptor {
  return (method, call) => {
    const { path } = method;
    const served = new ServedCall(path);
    const end = method.requestStream ? new EndOfRequests() : undefined;

    const refuse = (err: unknown): void => {
      const { code, details, metadata } = toServiceError(err);
      call.sendStatus(served.ended({ code, details, metadata }));
    };

    return new grpc.ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, proceed) {
            served.received(metadata);
            const state = callState(metadata);
            state.draining = draining;
            const goOn = () => context.with(served.context, proceed, undefined, metadata);
            if (!verifier || isOpen(path)) {
              goOn();
              return;
            }
            const authorization = metadata.get("authorization")[0]?.toString();
            state.claims = verifier.known(authorization);
            if (state.claims) {
              goOn();
              return;
            }
            verifier.verify(authorization).then((claims) => {
              state.claims = claims;
              goOn();
            }, refuse);
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
