import { once } from "node:events";
import type { Writable } from "node:stream";
import type * as grpc from "@grpc/grpc-js";
import { Fault } from "../../faults/fault.ts";
import { fromServiceError } from "../status.ts";
import { bind, type CallScope } from "./binding.ts";
import type { DuplexMethod } from "./streams.ts";

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

async function drained(stream: Writable, ended: AbortSignal): Promise<void> {
  try {
    await once(stream, "drain", { signal: ended });
  } catch (err) {
    throw ended.aborted ? ended.reason : err;
  }
}
