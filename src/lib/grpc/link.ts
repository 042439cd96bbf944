import type * as grpc from "@grpc/grpc-js";
import { abortable } from "../runtime/abort.ts";
import { type Logger, logger } from "../runtime/log.ts";
import { sleep } from "../runtime/wait.ts";

/** A long-lived background connection to one peer. */
export interface Link<C extends grpc.Client> {
  /** Named in the log, e.g. `scheduler 127.0.0.1:7002`. */
  readonly name: string;
  /** Makes a client with a connection of its own (`ownConnection`), so that closing it closes the connection. */
  readonly connect: () => C;
  /** Uses the client, typically by holding a stream open; called again whenever it ends or throws. */
  readonly use: (client: C, signal: AbortSignal) => Promise<void>;
  readonly log?: Logger;
  /** How long connecting may take before the client is replaced, in milliseconds. Default 20,000. */
  readonly stuckMs?: number;
}

const STUCK_MS = 20_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
/** One that lasted this long was well, so the next pause is short again. */
const WELL_MS = 10_000;

/**
 * Keeps a link up until `signal` aborts: connects, uses it, and again, with pauses that grow to 2 s while it fails.
 *
 * A client that is still connecting after `stuckMs` is replaced. A peer that accepts the connection and then says nothing
 * holds grpc-js's channel in CONNECTING for ever, without backoff, and keepalive does not help
 * (grpc/grpc-node#2785, still so in 1.14.7).
 */
export async function keepLink<C extends grpc.Client>(link: Link<C>, signal: AbortSignal): Promise<void> {
  const log = (link.log ?? logger).with({ link: link.name });
  let pauseMs = FIRST_PAUSE_MS;
  let isDown = false;
  while (!signal.aborted) {
    const client = link.connect();
    const began = performance.now();
    try {
      await ready(client, link.stuckMs ?? STUCK_MS, signal);
      if (isDown) log.info("a link is up again");
      isDown = false;
      await link.use(client, signal);
    } catch (error) {
      if (!signal.aborted && !isDown) log.warn("a link is down", { error });
      isDown = true;
    } finally {
      client.close();
    }
    pauseMs = performance.now() - began > WELL_MS ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    await sleep(pauseMs * (0.5 + Math.random()), signal);
  }
}

/** Resolves when the client is connected. */
function ready(client: grpc.Client, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.waitForReady(Date.now() + timeoutMs, (err) => {
    if (err) reject(new Error("the peer does not answer", { cause: err }));
    else resolve();
  });
  return abortable(promise, signal);
}
