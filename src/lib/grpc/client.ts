import * as grpc from "@grpc/grpc-js";
import type { TokenSource } from "../auth/tokens.ts";
import { bind, type CallScope } from "./binding.ts";
import { observeClient } from "./observe.ts";
import { keepAlive, messageLimits, noChannelz, type TypedOptions } from "./options.ts";

export type { CallScope } from "./binding.ts";

export { openStream } from "./streams.ts";

/** A unary method of a ts-proto client. */
export type UnaryMethod<Req, Res> = (
  request: Req,
  metadata: grpc.Metadata,
  options: Partial<grpc.CallOptions>,
  callback: (error: grpc.ServiceError | null, response: Res) => void,
) => grpc.ClientUnaryCall;

/** Channel options every client of ours uses. */
const channelOptions: grpc.ClientOptions = {
  ...({
    ...messageLimits,
    ...keepAlive,
    ...noChannelz,
    "grpc.initial_reconnect_backoff_ms": 100,
    // A host that comes back is to be noticed soon; there are few clients per server.
    "grpc.max_reconnect_backoff_ms": 2_000,
    // The fleet's own traffic must not go through a proxy that the environment happens to name.
    "grpc.enable_http_proxy": 0,
    "grpc.service_config_disable_resolution": 1,
  } satisfies TypedOptions),
  interceptors: [observeClient()],
};

/** The constructor of a ts-proto client. */
export type ClientConstructor<C extends grpc.Client> = new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: Partial<grpc.ClientOptions>,
) => C;

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
  return new Client(address, grpc.credentials.createInsecure(), { ...channelOptions, ...own, interceptors });
}

/**
 * Calls a unary method once. There is no way to omit the timeout.
 *
 * @throws Fault the peer's, or UNAVAILABLE / `PEER_UNAVAILABLE`, DEADLINE_EXCEEDED, CANCELLED
 */
export function call<Req, Res>(
  client: grpc.Client,
  method: UnaryMethod<Req, Res>,
  req: Req,
  scope: CallScope,
): Promise<Res> {
  return new Promise((resolve, reject) => {
    const binding = bind(scope);
    const rpc = method.call(client, req, binding.metadata, binding.options, (err, res) => {
      binding.release();
      if (err) reject(binding.fault(err, client));
      else resolve(res);
    });
    binding.onCancel(() => rpc.cancel());
  });
}
