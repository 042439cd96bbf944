import type * as grpc from "@grpc/grpc-js";
import { Fault } from "../../faults/fault.ts";
import { bidiStream, serverStream, unary } from "./rpc.ts";

/** Serves a method that is part of the contract and not built yet: UNIMPLEMENTED / `NOT_BUILT_YET`. */
export function notBuilt<Req, Res>(): grpc.handleUnaryCall<Req, Res> {
  return unary<Req, Res>(refuse);
}

/** The same for a stream of responses. */
export function notBuiltStream<Req, Res>(): grpc.handleServerStreamingCall<Req, Res> {
  // biome-ignore lint/correctness/useYield: it only fails
  return serverStream<Req, Res>(async function* () {
    refuse();
  });
}

/** The same for streams both ways. */
export function notBuiltBidi<Req, Res>(): grpc.handleBidiStreamingCall<Req, Res> {
  // biome-ignore lint/correctness/useYield: it only fails
  return bidiStream<Req, Res>(async function* () {
    refuse();
  });
}

function refuse(): never {
  throw new Fault("UNIMPLEMENTED", "NOT_BUILT_YET", "this call is part of the API and is not built yet");
}
