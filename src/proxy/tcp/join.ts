import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { onAbort } from "../../lib/runtime/abort.ts";
import { IdleTimer } from "../idle-timer.ts";

/** Bytes that have passed between two connections. */
export interface Passed {
  /** From the first to the second. */
  sent: number;
  /** From the second to the first. */
  received: number;
}

export interface JoinOptions {
  /** Both end when no byte has passed for so long. */
  readonly idleMs: number;
  /** Ends both. */
  readonly signal: AbortSignal;
  /** Counts while bytes pass. */
  readonly passed: Passed;
}

/** The same once one direction has ended: many clients end so when they leave. */
const HALF_CLOSED_IDLE_MS = 300_000;

/**
 * Passes bytes between two connections, each at the pace of the slower one. The end of one direction
 * is passed on, and the other direction goes on. Resolves when both have ended. Never rejects.
 */
export async function join(a: Duplex, b: Duplex, options: JoinOptions): Promise<void> {
  const { signal, passed } = options;
  const cut = () => {
    a.destroy();
    b.destroy();
  };
  let idle = new IdleTimer(options.idleMs, cut);
  const ended = () => {
    idle.stop();
    idle = new IdleTimer(Math.min(options.idleMs, HALF_CLOSED_IDLE_MS), cut);
  };
  for (const each of [a, b]) {
    if (each.readableEnded) ended();
    else each.once("end", ended);
  }
  using _ = onAbort(signal, cut);
  await Promise.all([
    pass(a, b, (bytes) => {
      idle.touch();
      passed.sent += bytes;
    }),
    pass(b, a, (bytes) => {
      idle.touch();
      passed.received += bytes;
    }),
  ]);
  idle.stop();
}

/** Resolves when `from` is closed. */
function pass(from: Duplex, to: Duplex, count: (bytes: number) => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const resume = () => from.resume();
  to.on("drain", resume);
  from.on("data", (chunk: Buffer) => {
    count(chunk.length);
    if (!to.write(chunk)) from.pause();
  });
  // Node reads the end of a connection that has sent nothing before anybody reads it.
  if (from.readableEnded) to.end();
  else from.once("end", () => to.end());
  from.on("error", () => breakOff(to));
  const close = () => {
    to.off("drain", resume);
    // A connection that breaks must not look like one that ends.
    if (!from.readableEnded) breakOff(to);
    resolve();
  };
  if (from.destroyed) close();
  else from.once("close", close);
  return promise;
}

/** Closes a connection so that the other side can tell it from an end. */
export function breakOff(stream: Duplex): void {
  if (stream instanceof TLSSocket) stream.destroy();
  else if (stream instanceof Socket) stream.resetAndDestroy();
  // Without an error, a stream of HTTP/2 would look like one that has ended.
  else stream.destroy(new Error("the other side has broken off"));
}
