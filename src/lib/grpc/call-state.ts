import type { Metadata } from "@grpc/grpc-js";
import type { Claims } from "../auth/claims.ts";

/** Facts that interceptors know about a call and that its handler's context needs. */
export interface CallState {
  /** Aborts when the server begins to shut down. */
  draining?: AbortSignal;
  /** Who calls, once the token has been verified. */
  claims?: Claims | undefined;
  /** Set by handlers whose answers cost by their size, for servers that do not encode them as gRPC does. */
  chargeAnswer?: (bytes: number) => void;
}

// grpc-js hands its interceptors and the handler different call objects, and only the metadata
// object is the same.
const states = new WeakMap<Metadata, CallState>();

/** The state of the call with this metadata, made on first use. */
export function callState(metadata: Metadata): CallState {
  let state = states.get(metadata);
  if (!state) {
    state = {};
    states.set(metadata, state);
  }
  return state;
}
