import type * as grpc from "@grpc/grpc-js";
import { bind, type CallScope } from "./binding.ts";

/** A server-streaming method of a ts-proto client. */
export type ServerStreamMethod<Req, Res> = (
  request: Req,
  metadata?: grpc.Metadata,
  options?: Partial<grpc.CallOptions>,
) => grpc.ClientReadableStream<Res>;

/** A bidirectional method of a ts-proto client. */
export type DuplexMethod<Req, Res> = (
  metadata?: grpc.Metadata,
  options?: Partial<grpc.CallOptions>,
) => grpc.ClientDuplexStream<Req, Res>;

/**
 * Calls a server-streaming method when the iteration begins, and cancels the call whichever way the loop ends.
 *
 * @throws Fault as `call` does
 */
export async function* openStream<Req, Res>(
  client: grpc.Client,
  method: ServerStreamMethod<Req, Res>,
  req: Req,
  scope: CallScope,
): AsyncGenerator<Res> {
  const binding = bind(scope);
  const stream = method.call(client, req, binding.metadata, binding.options);
  stream.on("error", ignore);
  binding.onCancel(() => stream.cancel());
  try {
    yield* stream as AsyncIterable<Res>;
  } catch (err) {
    throw binding.fault(err, client);
  } finally {
    binding.release();
    stream.cancel();
  }
}

function ignore(): void {}
