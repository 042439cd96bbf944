import type * as grpc from "@grpc/grpc-js";
import { bind, type CallScope } from "./binding.ts";

/** A unary method of a ts-proto client. */
export type UnaryMethod<Req, Res> = (
  request: Req,
  metadata: grpc.Metadata,
  options: Partial<grpc.CallOptions>,
  callback: (error: grpc.ServiceError | null, response: Res) => void,
) => grpc.ClientUnaryCall;

/** The constructor of a ts-proto client. */
export type ClientConstructor<C extends grpc.Client> = new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: Partial<grpc.ClientOptions>,
) => C;

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
