import { once } from "node:events";
import type { Writable } from "node:stream";
import type * as grpc from "@grpc/grpc-js";
import { Fault } from "../runtime/fault.ts";
import { until } from "../runtime/wait.ts";
import { bind, type CallScope } from "./binding.ts";
import { fromServiceError } from "./status.ts";

/** A server-streaming method of a ts-proto client. */
export type ServerStreamMethod<Req, Res> = (
  request: Req,
  metadata?: grpc.Metadata,
  options?: Partial<grpc.CallOptions>,
) => grpc.ClientReadableStream<Res>;

/** A client-streaming method of a ts-proto client. */
export type ClientStreamMethod<Req, Res> = (
  metadata: grpc.Metadata,
  options: Partial<grpc.CallOptions>,
  callback: (error: grpc.ServiceError | null, response: Res) => void,
) => grpc.ClientWritableStream<Req>;

/** A bidirectional method of a ts-proto client. */
export type DuplexMethod<Req, Res> = (
  metadata?: grpc.Metadata,
  options?: Partial<grpc.CallOptions>,
) => grpc.ClientDuplexStream<Req, Res>;

/** An open bidirectional stream. */
export interface Duplex<Req, Res> {
  /** What the peer sends. Iterate it once; leaving the loop cancels the call. It throws the fault the call ended with. */
  readonly messages: AsyncIterable<Res>;
  /** Sends one message; resolves when there is room for the next, and throws the call's fault when it has ended. */
  write(message: Req): Promise<void>;
  /** Nothing more will be sent; the peer may still answer. */
  end(): void;
  /** Breaks the call off. */
  cancel(): void;
}

/** Iterates a server stream, and cancels the call whichever way the loop ends. Begin at once: unread, it buffers without limit. */
export async function* messages<Res>(
  stream: grpc.ClientReadableStream<Res> | grpc.ClientDuplexStream<never, Res>,
): AsyncGenerator<Res> {
  // After the loop nobody else listens, and the cancellation itself comes back as an error.
  stream.on("error", ignore);
  try {
    yield* stream as AsyncIterable<Res>;
  } catch (err) {
    throw fromServiceError(err);
  } finally {
    stream.cancel();
  }
}

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

/**
 * Calls a client-streaming method with everything `requests` yields. An answer that comes early, an error above all, ends it.
 *
 * @throws Fault as `call` does, or whatever `requests` throws
 */
export async function upload<Req, Res>(
  client: grpc.Client,
  method: ClientStreamMethod<Req, Res>,
  requests: AsyncIterable<Req>,
  scope: CallScope,
): Promise<Res> {
  const binding = bind(scope);
  const answered = new AbortController();
  let stream: grpc.ClientWritableStream<Req> | undefined;
  const answer = new Promise<Res>((resolve, reject) => {
    stream = method.call(client, binding.metadata, binding.options, (err, res) => {
      if (err) reject(binding.fault(err, client));
      else resolve(res);
      answered.abort();
    });
  });
  // Awaited below; a rejection that comes while still sending must not count as unhandled.
  answer.catch(ignore);
  try {
    if (stream) {
      const open = stream;
      binding.onCancel(() => open.cancel());
      await send(open, requests, answered.signal);
    }
    return await answer;
  } finally {
    binding.release();
    stream?.cancel();
  }
}

/** Opens a bidirectional call. Begin to iterate its messages at once. */
export function openDuplex<Req, Res>(
  client: grpc.Client,
  method: DuplexMethod<Req, Res>,
  scope: CallScope,
): Duplex<Req, Res> {
  const binding = bind(scope);
  const stream = method.call(client, binding.metadata, binding.options);
  const ended = new AbortController();
  let failure: Fault | undefined;
  stream.on("error", (err) => {
    failure ??= binding.fault(err, client);
    ended.abort(failure);
  });
  stream.on("status", () => {
    binding.release();
    ended.abort(new Fault("UNAVAILABLE", "STREAM_ENDED", "the peer has ended the stream"));
  });
  binding.onCancel(() => stream.cancel());
  // Starts reading, up to the stream's own small buffer. Never asked to read, grpc-js takes in all the peer sends.
  stream.read(0);
  return {
    messages: received(stream, () => failure),
    write: async (message) => {
      ended.signal.throwIfAborted();
      if (!stream.write(message)) await drained(stream, ended.signal);
    },
    end: () => stream.end(),
    cancel: () => stream.cancel(),
  };
}

async function* received<Res>(
  stream: grpc.ClientDuplexStream<never, Res>,
  failure: () => Fault | undefined,
): AsyncGenerator<Res> {
  try {
    yield* stream as AsyncIterable<Res>;
  } catch (err) {
    throw failure() ?? fromServiceError(err);
  } finally {
    stream.cancel();
  }
  // For those who begin to read when the error has been and gone: to them the stream just ends.
  const late = failure();
  if (late) throw late;
}

/** Sends until there is nothing left or an answer has come, also while `requests` makes us wait. */
async function send<Req>(
  stream: grpc.ClientWritableStream<Req>,
  requests: AsyncIterable<Req>,
  answered: AbortSignal,
): Promise<void> {
  try {
    for await (const request of until(requests, answered)) {
      if (!stream.write(request)) await drained(stream, answered);
    }
    stream.end();
  } catch (err) {
    if (!answered.aborted) throw err;
  }
}

async function drained(stream: Writable, ended: AbortSignal): Promise<void> {
  try {
    await once(stream, "drain", { signal: ended });
  } catch (err) {
    throw ended.aborted ? ended.reason : err;
  }
}

function ignore(): void {}
