import { type Client, credentials } from "@grpc/grpc-js";
import type { ClientConstructor } from "../../lib/grpc/calls/call.ts";
import { clientOptions } from "../../lib/grpc/options.ts";

export { Metadata } from "@grpc/grpc-js";
export { call } from "../../lib/grpc/calls/call.ts";
export { openDuplex } from "../../lib/grpc/calls/duplex.ts";
export { openStream } from "../../lib/grpc/calls/streams.ts";

/**
 * Makes a client for `host:port`, like `connect` in lib/grpc/client.ts without metrics, tracing and
 * tokens, which take as long to load as a call takes.
 */
export function connect<C extends Client>(Constructor: ClientConstructor<C>, address: string): C {
  return new Constructor(address, credentials.createInsecure(), clientOptions);
}
