import { type Client, credentials } from "@grpc/grpc-js";
import { bind, type CallScope } from "../../lib/grpc/binding.ts";
import type { ClientConstructor, UnaryMethod } from "../../lib/grpc/client.ts";
import { messageLimits, type TypedOptions } from "../../lib/grpc/options.ts";

export { Metadata } from "@grpc/grpc-js";
export { openStream } from "../../lib/grpc/streams.ts";

// Like lib/grpc/client.ts without metrics, tracing and minting of tokens: loading those takes as long as a call.

const options: TypedOptions = {
  ...messageLimits,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2_000,
  // A stream that is followed for hours must notice that its server has gone.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
};

/** Makes a client for `host:port`. Close it at the end. */
export function connect<C extends Client>(Constructor: ClientConstructor<C>, address: string): C {
  return new Constructor(address, credentials.createInsecure(), options);
}

/**
 * Calls a unary method once.
 *
 * @throws Fault the API's, or UNAVAILABLE / `PEER_UNAVAILABLE`, DEADLINE_EXCEEDED, CANCELLED
 */
export function call<Req, Res>(
  client: Client,
  method: UnaryMethod<Req, Res>,
  request: Req,
  scope: CallScope,
): Promise<Res> {
  return new Promise((resolve, reject) => {
    const binding = bind(scope);
    const rpc = method.call(client, request, binding.metadata, binding.options, (err, response) => {
      binding.release();
      if (err) reject(binding.fault(err, client));
      else resolve(response);
    });
    binding.onCancel(() => rpc.cancel());
  });
}
