import * as grpc from "@grpc/grpc-js";
import { addressInUse, cannotListen, closeToOthers, isInUse, prepareSocket } from "../../runtime/listen.ts";
import { logger } from "../../runtime/log.ts";
import { sleep } from "../../runtime/wait.ts";
import { keepAlive, messageLimits, type TypedOptions } from "../options.ts";
import { Edge, type TakeShare } from "./edge/edge.ts";
import { DEFAULT_EDGE_LIMITS, type EdgeLimits } from "./edge/limits.ts";
import type { GuardOptions } from "./guarded-call.ts";
import { intercept } from "./intercept.ts";
import { LocalCalls } from "./local/local-calls.ts";

/** How long balancers and probes get to notice that a server is going, at most. */
const NOTICE_MS = 250;

const serverOptions: TypedOptions = { ...messageLimits, ...keepAlive };

/** Asked by probes, which have no token. */
const HEALTH = /^\/grpc\.health\./;
const HEALTH_OR_REFLECTION = /^\/grpc\.(?:health|reflection)\./;

/** What {@link createServer} is to do besides tracing and measuring. */
export interface ServerOptions {
  /** Checks the token of every call, except of health. Without it nobody is asked. */
  readonly verifier?: GuardOptions["verifier"];
  /** Of all methods. Without them every token is enough. */
  readonly rules?: GuardOptions["rules"];
  readonly audit?: GuardOptions["audit"];
  readonly appOf?: GuardOptions["appOf"];
  /** Whether reflection takes calls without a token. Default: no. */
  readonly hasOpenReflection?: boolean;
  /** Takes the share of a call of an organisation, until its stream has closed. */
  readonly takeShare?: TakeShare;
  readonly limits?: Partial<EdgeLimits>;
}

/** A running server: call it to shut it down gracefully. */
export interface Running {
  (): Promise<void>;
  /** The port it listens at; 0 for a unix socket. */
  readonly port: number;
}

/** A gRPC server with tracing, measuring, token checks, limits, and a way to tell its handlers to finish. */
export function createServer(options: ServerOptions = {}): grpc.Server {
  grpc.setLogger(grpcLog);
  const { verifier, rules, audit, appOf, hasOpenReflection = false, takeShare } = options;
  const guard = verifier && {
    ...{ verifier, ...(rules && { rules }), ...(audit && { audit }) },
    ...(appOf && { appOf }),
  };
  const draining = new AbortController();
  const openMethods = hasOpenReflection ? HEALTH_OR_REFLECTION : HEALTH;
  const isOpen = (path: string) => openMethods.test(path);
  const limits = { ...DEFAULT_EDGE_LIMITS, ...options.limits };
  const edge = new Edge({ limits, isOpen, asksForTokens: verifier !== undefined, takeShare });
  const interceptors = [intercept({ draining: draining.signal, edge, isOpen, guard })];
  return new Server({ ...serverOptions, interceptors }, draining, edge, new LocalCalls(edge, guard));
}

/** Returns what serves calls of other protocols with the handlers of a server. @param server made by {@link createServer} */
export function localCallsOf(server: grpc.Server): LocalCalls {
  if (server instanceof Server) return server.local;
  throw new TypeError("the server was not made by createServer");
}

/** What a server says of itself while it runs and while it shuts down; see `Health`. */
export interface ServingState {
  start(): void;
  stop(): void;
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
  health?: ServingState,
  variable = "LISTEN",
): Promise<Running> {
  await prepareSocket(address, variable);
  const port = await bind(server, address, variable);
  await closeToOthers(address);
  health?.start();
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= shutDown(server, graceMs, health);
    return closing;
  };
  return Object.assign(close, { port });
}

/** Of what a client has sent, which may be a token: the values follow. */
const BAD_HEADER = "Failed to add metadata entry";

/** grpc-js would write plain text to standard error. */
const grpcLog = {
  error: (...parts: unknown[]) => {
    const text = parts.join(" ");
    if (text.includes(BAD_HEADER)) logger.debug("a header of a call was left out: it is not valid");
    else logger.warn("grpc-js reports a problem", { text });
  },
  info: (...text: unknown[]) => logger.debug("grpc-js reports", { text: text.join(" ") }),
  debug: (...text: unknown[]) => logger.debug("grpc-js reports", { text: text.join(" ") }),
};

class Server extends grpc.Server {
  readonly draining: AbortController;
  readonly edge: Edge;
  readonly local: LocalCalls;

  constructor(options: grpc.ServerOptions, draining: AbortController, edge: Edge, local: LocalCalls) {
    super(options);
    this.draining = draining;
    this.edge = edge;
    this.local = local;
    edge.prepare(this);
  }

  override addService(
    service: grpc.ServiceDefinition,
    implementation: grpc.UntypedServiceImplementation,
  ): void {
    const told = Object.entries(service).map(([name, method]) => [name, tellUnencodable(method)]);
    super.addService(Object.fromEntries(told), implementation);
    this.local.addService(service, implementation);
  }
}

/** grpc-js answers INTERNAL when a response does not fit its message, and tells nobody why. */
function tellUnencodable(
  method: grpc.MethodDefinition<unknown, unknown>,
): grpc.MethodDefinition<unknown, unknown> {
  return {
    ...method,
    responseSerialize: (response) => {
      try {
        return method.responseSerialize(response);
      } catch (error) {
        logger.error("an answer could not be encoded", { method: method.path.slice(1), error });
        throw error;
      }
    },
  };
}

function bind(server: grpc.Server, address: string, variable: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (err, port) => {
      if (!err) {
        if (server instanceof Server) server.edge.attach(server);
        resolve(address.startsWith("unix:") ? 0 : port);
      } else if (isInUse(err)) reject(addressInUse(address, variable, err));
      else reject(cannotListen(address, variable, err));
    });
  });
}

async function shutDown(
  server: grpc.Server,
  graceMs: number,
  health: ServingState | undefined,
): Promise<void> {
  const until = performance.now() + graceMs;
  if (health) {
    health.stop();
    await sleep(Math.min(NOTICE_MS, graceMs / 10));
  }
  if (server instanceof Server) server.draining.abort();
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
