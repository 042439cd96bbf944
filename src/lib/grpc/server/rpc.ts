import { once } from "node:events";
import type * as grpc from "@grpc/grpc-js";
import { type Fault, isServerFault } from "../../faults/fault.ts";
import { annotate, attribute } from "../../otel/tracing.ts";
import { onAbort } from "../../runtime/abort.ts";
import { logger } from "../../runtime/log.ts";
import { until } from "../../runtime/wait.ts";
import { type CallContext, Serving, type ServingCall } from "../serving.ts";
import { asFault, toServiceError } from "../status.ts";
import { hand, type Wire, type WireUser } from "../wire.ts";

export { type CallContext, remainingMs } from "../serving.ts";

/** How a streaming handler behaves when the server shuts down. */
export interface StreamOptions {
  /**
   * `end` (default): its signal aborts and the caller gets UNAVAILABLE / `SERVER_DRAINING`; for streams that
   * have no end of their own. `finish`: it goes on, within the server's grace.
   */
  readonly onDrain?: "end" | "finish";
}

/** Serves a unary method with a promise. What it throws reaches the caller as a fault; see `toServiceError`. */
export function unary<Req, Res>(
  fn: (req: Req, ctx: CallContext) => Promise<Res> | Res,
): grpc.handleUnaryCall<Req, Res> {
  return (call, callback) => {
    void answer(call, callback, (ctx) => fn(call.request, ctx));
  };
}

/** Serves a server-streaming method with an async generator; the next message is asked for only when there is room. */
export function serverStream<Req, Res>(
  fn: (req: Req, ctx: CallContext) => AsyncIterable<Res>,
  options: StreamOptions = {},
): grpc.handleServerStreamingCall<Req, Res> {
  return (call) => {
    void stream(call, options, (ctx) => fn(call.request, ctx));
  };
}

/** Serves a bidirectional method. The call ends when the generator does, whether or not all requests were read. */
export function bidiStream<Req, Res>(
  fn: (requests: AsyncIterable<Req>, ctx: CallContext) => AsyncIterable<Res>,
  options: StreamOptions = {},
): grpc.handleBidiStreamingCall<Req, Res> {
  return (call) => {
    void stream(call, options, (ctx) => fn(incoming<Req>(call, ctx), ctx));
  };
}

/**
 * Serves a bidirectional method with plain calls instead of iterators, for streams of many small messages; see {@link Wire}. The call ends when the
 * user ends or fails its wire, with the caller's end, or with the grace of a server that shuts down.
 *
 * @param open what it throws is the call's answer
 */
export function bidiWire<Req, Res>(
  open: (wire: Wire<Res>, ctx: CallContext) => WireUser<Req>,
): grpc.handleBidiStreamingCall<Req, Res> {
  return (call) => {
    const ctx = new Serving(call, false);
    let user: WireUser<Req> | undefined;
    let isOver = false;
    const over = (fault: Fault | undefined) => {
      if (isOver) return;
      isOver = true;
      ctx.settle();
      user?.closed(fault);
    };
    const fail = (err: unknown) => {
      if (isOver) return;
      call.emit("error", failed(call, err));
      over(asFault(err));
    };
    const wire: Wire<Res> = {
      send: (message) => isOver || call.write(message),
      end: () => {
        if (!isOver) call.end();
        over(undefined);
      },
      fail,
    };
    onAbort(ctx.signal, () => over(asFault(ctx.signal.reason)));
    try {
      user = open(wire, ctx);
    } catch (err) {
      fail(err);
      return;
    }
    const told = user;
    call.on("data", (message: Req) => {
      if (!isOver) hand(told, message, fail);
    });
    call.on("drain", () => {
      if (!isOver) told.drained();
    });
    call.on("end", () => {
      if (!isOver) told.finished();
    });
    // Also emitted by ourselves, above, and then it is over.
    call.on("error", (err) => over(asFault(err)));
  };
}

async function answer<Res>(
  call: ServingCall,
  callback: grpc.sendUnaryData<Res>,
  run: (ctx: CallContext) => Promise<Res> | Res,
): Promise<void> {
  const ctx = new Serving(call, false);
  try {
    const response = await run(ctx);
    ctx.settle();
    callback(null, response);
  } catch (err) {
    ctx.settle();
    // With nobody waiting there is nobody to tell, and what aborted work throws is no news.
    if (!ctx.gone) callback(failed(call, err));
  }
}

async function stream<Res>(
  call: grpc.ServerWritableStream<unknown, Res> | grpc.ServerDuplexStream<unknown, Res>,
  options: StreamOptions,
  run: (ctx: CallContext) => AsyncIterable<Res>,
): Promise<void> {
  const ctx = new Serving(call, options.onDrain !== "finish");
  try {
    await pump(call, run(ctx), ctx.signal);
    ctx.settle();
    call.end();
  } catch (err) {
    ctx.settle();
    if (!ctx.gone) call.emit("error", failed(call, ctx.signal.aborted ? ctx.signal.reason : err));
  }
}

/** Sends what `messages` yields, never faster than the connection takes it. */
async function pump<Res>(
  call: grpc.ServerWritableStream<unknown, Res> | grpc.ServerDuplexStream<unknown, Res>,
  messages: AsyncIterable<Res>,
  signal: AbortSignal,
): Promise<void> {
  for await (const message of until(messages, signal)) {
    if (!call.write(message)) await once(call, "drain", { signal });
  }
}

/** The caller's messages. An abort ends them with its reason, and does not close the side that still has to answer. */
function incoming<Req>(call: grpc.ServerDuplexStream<Req, unknown>, ctx: CallContext): AsyncGenerator<Req> {
  // Typed any by Node; the stream carries Req. By default leaving the loop would destroy the stream, answer and all.
  const requests: NodeJS.AsyncIterator<Req> = call.iterator({ destroyOnReturn: false });
  return until({ [Symbol.asyncIterator]: () => requests }, ctx.signal);
}

/** Logs an error once, here at the edge, if it is one somebody should look at, and converts it. */
function failed(call: ServingCall, err: unknown): grpc.ServiceError {
  const fault = asFault(err);
  report(call.getPath(), fault);
  annotate(attribute.reason, fault.reason);
  return toServiceError(fault);
}

function report(path: string, fault: Fault): void {
  const facts = { method: path.slice(1), reason: fault.reason, facts: fault.facts };
  if (fault.code === "INTERNAL" || fault.code === "UNKNOWN" || fault.code === "DATA_LOSS") {
    logger.error("a call failed", { ...facts, error: fault });
  } else if (isServerFault(fault.code) && fault.reason !== "SERVER_DRAINING") {
    logger.warn("a call could not be served", { ...facts, error: fault });
  } else {
    logger.debug("a call was refused", facts);
  }
}
