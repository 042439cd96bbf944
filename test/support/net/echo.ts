import { connect as connectHttp2 } from "node:http2";
import * as grpc from "@grpc/grpc-js";
import { Fault } from "../../../src/lib/faults/fault.ts";
import type { DuplexMethod, ServerStreamMethod } from "../../../src/lib/grpc/calls/streams.ts";
import type { UnaryMethod } from "../../../src/lib/grpc/client.ts";
import { connect } from "../../../src/lib/grpc/client.ts";
import { type CallContext, unary } from "../../../src/lib/grpc/server/rpc.ts";
import { createServer, type Running, type ServerOptions, serve } from "../../../src/lib/grpc/server/serve.ts";

/** A message of the service the library's tests use. */
export interface Text {
  text: string;
}

/** A client of that service. */
export interface EchoClient extends grpc.Client {
  one: UnaryMethod<Text, Text>;
  down: ServerStreamMethod<Text, Text>;
  both: DuplexMethod<Text, Text>;
}

/** Its handlers; those a test leaves out are unimplemented. */
export interface EchoHandlers {
  one?: grpc.handleUnaryCall<Text, Text>;
  down?: grpc.handleServerStreamingCall<Text, Text>;
  both?: grpc.handleBidiStreamingCall<Text, Text>;
}

interface Codec {
  requestSerialize(text: Text): Buffer;
  requestDeserialize(bytes: Buffer): Text;
  responseSerialize(text: Text): Buffer;
  responseDeserialize(bytes: Buffer): Text;
}

/** JSON instead of protobuf: what is tested is everything around the message. */
const codec: Codec = {
  requestSerialize: encode,
  requestDeserialize: decode,
  responseSerialize: encode,
  responseDeserialize: decode,
};

/** The methods of that service. */
export const definition = {
  one: { path: "/test.v1.Echo/One", requestStream: false, responseStream: false, ...codec },
  down: { path: "/test.v1.Echo/Down", requestStream: false, responseStream: true, ...codec },
  both: { path: "/test.v1.Echo/Both", requestStream: true, responseStream: true, ...codec },
} satisfies grpc.ServiceDefinition;

/** Makes a client; for `connect`. */
// The constructor that grpc-js generates has no type for the methods it adds.
export const EchoClient = grpc.makeGenericClientConstructor(definition, "test.v1.Echo") as unknown as new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: Partial<grpc.ClientOptions>,
) => EchoClient;

/** A running service and a client of it; disposing ends both. */
export interface Echo extends AsyncDisposable {
  readonly client: EchoClient;
  readonly address: string;
  readonly close: Running;
}

/** Serves `handlers` on a free port of the loopback interface. */
export async function echo(
  handlers: EchoHandlers,
  options: ServerOptions & { graceMs?: number; address?: string } = {},
): Promise<Echo> {
  const server = createServer(options);
  addEcho(server, handlers);
  const close = await serve(server, options.address ?? "127.0.0.1:0", options.graceMs ?? 1_000);
  const address = options.address ?? `127.0.0.1:${close.port}`;
  const client = connect(EchoClient, address, { ownConnection: true });
  return {
    client,
    address,
    close,
    async [Symbol.asyncDispose]() {
      client.close();
      await close();
    },
  };
}

/** Calls `one` with a deadline, and waits longer: a client of grpc-js hangs up at the deadline, maybe before the server's. */
export function patientCall(address: string, timeoutMs: number): Disposable {
  const session = connectHttp2(`http://${address}`);
  const stream = session.request({
    ...{ ":method": "POST", ":path": definition.one.path, "content-type": "application/grpc" },
    ...{ te: "trailers", "grpc-timeout": `${timeoutMs}m` },
  });
  stream.on("error", () => {});
  const message = encode({ text: "" });
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([header, message]));
  return { [Symbol.dispose]: () => session.destroy() };
}

/** Adds the service to a server. */
export function addEcho(server: grpc.Server, handlers: EchoHandlers): void {
  server.addService(definition, { ...handlers });
}

/** The fault a promise fails with; an error when it does not fail, or with something else. */
export async function failure(promise: Promise<unknown>): Promise<Fault> {
  const error = await promise.then(
    () => undefined,
    (err: unknown) => err,
  );
  if (error instanceof Fault) return error;
  throw new Error("expected a fault", { cause: error });
}

/** Never resolves; rejects when the signal aborts. */
export function pending(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

/** A handler that hands out its context and then waits for the end. */
export function waiting(handler: { resolve(ctx: CallContext): void }): grpc.handleUnaryCall<Text, Text> {
  return unary((_, ctx) => {
    handler.resolve(ctx);
    return pending(ctx.signal);
  });
}

/** Reads to the end. */
export async function drain(source: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of source);
}

function encode(value: Text): Buffer {
  if (typeof value?.text !== "string") throw new Error("secret: not a text");
  return Buffer.from(JSON.stringify(value));
}

function decode(bytes: Buffer): Text {
  return JSON.parse(bytes.toString()) as Text;
}
