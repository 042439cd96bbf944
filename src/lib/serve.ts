import * as grpc from "@grpc/grpc-js";
import { authenticate, type TokenVerifier } from "./auth.ts";
import { callState } from "./call-state.ts";
import type { Health } from "./health.ts";
import { addressInUse, cannotListen, clearStaleSocket, isInUse } from "./listen.ts";
import { logger } from "./log.ts";
import { observeServer } from "./observe.ts";
import { keepAlive, messageLimits, type TypedOptions } from "./options.ts";
import { sleep } from "./wait.ts";

/** How long balancers and probes get to notice that a server is going, at most. */
const NOTICE_MS = 250;

const serverOptions: TypedOptions = {
  ...messageLimits,
  ...keepAlive,
  // Of one connection. More wait in the client, whose deadline still counts.
  "grpc.max_concurrent_streams": 10_000,
};

/** What {@link createServer} is to do besides tracing and measuring. */
export interface ServerOptions {
  /** Checks the token of every call, except of health and reflection. Without it nobody is asked. */
  readonly verifier?: TokenVerifier;
}

/** A running server: call it to shut it down gracefully. */
export interface Running {
  (): Promise<void>;
  /** The port it listens at; 0 for a unix socket. */
  readonly port: number;
}

/** A gRPC server with tracing, measuring, token checks, limits, and a way to tell its handlers to finish. */
export function createServer(options: ServerOptions = {}): grpc.Server {
  const draining = new AbortController();
  const interceptors = [observeServer, announce(draining.signal)];
  if (options.verifier) interceptors.push(authenticate(options.verifier));
  const server = new grpc.Server({ ...serverOptions, interceptors });
  drains.set(server, draining);
  return server;
}

/**
 * Listens at `host:port` (port 0 for any) or `unix:/path`. The answer shuts the server down: health to NOT_SERVING, a
 * moment to be noticed, streams broken off with UNAVAILABLE, then calls may finish for `graceMs`, then the rest is cut.
 *
 * @param server made by {@link createServer}
 * @param variable the environment variable to name when the address is taken
 * @throws Fault FAILED_PRECONDITION / `ADDRESS_IN_USE` when somebody else listens there
 */
export async function serve(
  server: grpc.Server,
  address: string,
  graceMs: number,
  health?: Health,
  variable = "LISTEN",
): Promise<Running> {
  await clearStaleSocket(address, variable);
  const port = await bind(server, address, variable);
  health?.start();
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= shutDown(server, graceMs, health);
    return closing;
  };
  return Object.assign(close, { port });
}

const drains = new WeakMap<grpc.Server, AbortController>();

function bind(server: grpc.Server, address: string, variable: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (err, port) => {
      if (!err) resolve(address.startsWith("unix:") ? 0 : port);
      else if (isInUse(err)) reject(addressInUse(address, variable, err));
      else reject(cannotListen(address, variable, err));
    });
  });
}

async function shutDown(server: grpc.Server, graceMs: number, health: Health | undefined): Promise<void> {
  const until = performance.now() + graceMs;
  if (health) {
    health.stop();
    await sleep(Math.min(NOTICE_MS, graceMs / 10));
  }
  drains.get(server)?.abort();
  const finished = new Promise<"finished">((resolve, reject) => {
    server.tryShutdown((err) => (err ? reject(err) : resolve("finished")));
  });
  const abort = new AbortController();
  const overdue = sleep(Math.max(0, until - performance.now()), abort.signal).then(() => "overdue" as const);
  try {
    // tryShutdown alone waits for ever on a stream that stays open.
    if ((await Promise.race([finished, overdue])) === "overdue") {
      logger.warn("calls were cut off at the end of the grace", { grace_ms: graceMs });
      server.forceShutdown();
    }
  } finally {
    abort.abort();
  }
}

/** Makes the drain signal known to the handlers' contexts. */
function announce(draining: AbortSignal): grpc.ServerInterceptor {
  return (_method, call) =>
    new grpc.ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, proceed) {
            callState(metadata).draining = draining;
            proceed(metadata);
          },
        });
      },
    });
}
