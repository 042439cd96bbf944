import { requireScope } from "../lib/auth/claims.ts";
import { type CallContext, serverStream, unary } from "../lib/grpc/server/rpc.ts";

/** Serves a method to the services of the fleet alone. */
export function internal<Req, Res>(handle: (request: Req, ctx: CallContext) => Promise<Res> | Res) {
  return unary<Req, Res>((request, ctx) => {
    requireScope(ctx, "internal");
    return handle(request, ctx);
  });
}

/** The same for a stream of responses. */
export function internalStream<Req, Res>(handle: (request: Req, ctx: CallContext) => AsyncIterable<Res>) {
  return serverStream<Req, Res>((request, ctx) => {
    requireScope(ctx, "internal");
    return handle(request, ctx);
  });
}
