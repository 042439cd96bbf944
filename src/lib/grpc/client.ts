import * as grpc from "@grpc/grpc-js";
import type { TokenSource } from "../auth/tokens.ts";
import type { ClientConstructor } from "./calls/call.ts";
import { observeClient } from "./observed/observe.ts";
import { clientOptions, type TypedOptions } from "./options.ts";

export type { CallScope } from "./calls/binding.ts";
export { type ClientConstructor, call, type UnaryMethod } from "./calls/call.ts";

export { openStream } from "./calls/streams.ts";

/** What {@link connect} may be told. */
export interface ConnectOptions {
  /** The token to send with every call. */
  readonly token?: TokenSource;
  /** Do not share the connection with other clients of the same address. For bulk streams. */
  readonly ownConnection?: boolean;
}

/** A client for `host:port` or `unix:/path`, with tracing, limits and tokens. Make one per address, and close it at the end. */
export function connect<C extends grpc.Client>(
  Client: ClientConstructor<C>,
  address: string,
  options: ConnectOptions = {},
): C {
  const interceptors = [observeClient(options.token)];
  const own: TypedOptions = options.ownConnection ? { "grpc.use_local_subchannel_pool": 1 } : {};
  return new Client(address, grpc.credentials.createInsecure(), { ...clientOptions, ...own, interceptors });
}
