import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { AuditEntry } from "../../lib/audit/audit-entry.ts";
import { REFUSAL_CODES } from "../../lib/audit/refusals.ts";
import { Fault, isServerFault } from "../../lib/faults/fault.ts";
import { HTTP_STATUS } from "../../lib/faults/http-status.ts";
import { limitConnections } from "../../lib/limits/connection-limiter.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { Asker } from "../access/access.ts";
import { sessionOf } from "../access/cookie.ts";
import { SECURITY_HEADERS } from "./headers.ts";
import { registerLive } from "./live.ts";
import { type ConsoleParts, type Identify, pathOf } from "./parts.ts";
import { registerQueries } from "./queries.ts";
import { registerSessions } from "./sessions.ts";

const REQUEST_TIMEOUT_MS = 15_000;
/** A connection on which nothing moves for so long is closed: its client does not read. Live views have a beat. */
const SILENCE_MS = 60_000;
const MAX_HEADER_BYTES = 32 * 1024;
const MAX_BODY_BYTES = 16 * 1024;
const CONNECTIONS = { total: 1_024, perAddress: 512, newTotal: 128, newPerAddress: 64 };

/** Makes the console's HTTP server, not listening yet: the page, its queries, and sessions. */
export async function consoleServer(parts: ConsoleParts): Promise<FastifyInstance> {
  const { access, audit, clock, files, follower, origins } = parts;
  const server = fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: SILENCE_MS,
    return503OnClosing: false,
    exposeHeadRoutes: true,
    routerOptions: { maxParamLength: 64, querystringParser: () => ({}) },
    http: {
      headersTimeout: REQUEST_TIMEOUT_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      // The default checks these times twice a minute.
      connectionsCheckingInterval: 1_000,
    },
    frameworkErrors: (_err, request, reply) => fail(pathInvalid(), request, reply),
  });
  const connections = limitConnections(server.server, CONNECTIONS);
  const askers = new WeakMap<FastifyRequest, Asker>();

  const identify: Identify = async (request) => {
    const session = sessionOf(request.headers.cookie, origins().isSecure);
    const asker = await access.identify(request.headers.authorization, session);
    askers.set(request, asker);
    connections.identified(request.socket, false);
    return asker;
  };

  function fail(err: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const fault = asFault(err);
    if (REFUSAL_CODES.has(fault.code)) audit.record(refusalOf(request, askers.get(request), fault, clock));
    if (isServerFault(fault.code) && fault.code !== "UNIMPLEMENTED")
      logger.error("a request failed", { path: pathOf(request), reason: fault.reason, error: err });
    const { code, reason, message, facts, violations, retryAfterMs } = fault;
    if (code === "UNAUTHENTICATED") reply.header("www-authenticate", "Bearer");
    if (retryAfterMs !== undefined) reply.header("retry-after", Math.ceil(retryAfterMs / 1_000));
    reply.code(statusOf(fault));
    // People open links, and read no JSON.
    if (pathOf(request) === "/login" && request.headers.accept?.includes("text/html"))
      reply.type("text/plain; charset=utf-8").send(`${message}\n`);
    else reply.send({ error: { code, reason, message, facts, violations } });
  }

  server.addHook("onRequest", async (request, reply) => {
    reply.headers(SECURITY_HEADERS).header("cache-control", "no-store");
    const path = pathOf(request);
    // Probes ask by the address of the machine.
    if (path !== "/healthz") origins().check(request.headers, !path.startsWith("/api/"));
  });
  server.setErrorHandler((err, request, reply) => {
    fail(err, request, reply);
    return reply;
  });
  server.get("/healthz", async () => ({ status: "ok", is_loaded: follower.isLoaded }));
  registerSessions(server, parts, identify);
  registerQueries(server, parts, identify);
  registerLive(server, parts, identify);
  server.setNotFoundHandler((request, reply) => {
    const path = pathOf(request);
    if (request.method !== "GET" && request.method !== "HEAD") throw noSuchPath(path);
    const { "accept-encoding": accepted = "", "if-none-match": etag } = request.headers;
    const answer = files.answer(path, String(accepted), etag);
    if (!answer && path === "/" && !files.hasPage)
      return reply
        .type("text/plain; charset=utf-8")
        .send("The page was not built: npm run setup builds it.\n");
    if (!answer) throw noSuchPath(path);
    return reply.code(answer.status).headers(answer.headers).send(answer.body);
  });
  await server.ready();
  return server;
}

function asFault(err: unknown): Fault {
  if (err instanceof Fault) return err;
  const status: unknown = Object(err)["statusCode"];
  if (typeof status === "number" && status >= 400 && status < 500) {
    const message = "the body must be JSON of at most 16 KiB";
    return new Fault("INVALID_ARGUMENT", "BODY_INVALID", message, {}, { cause: err });
  }
  return new Fault("INTERNAL", "INTERNAL", "something went wrong inside the console", {}, { cause: err });
}

function statusOf({ code, reason }: Fault): number {
  return reason === "PATH_NOT_FOUND" ? 404 : HTTP_STATUS[code];
}

function pathInvalid(): Fault {
  return new Fault("INVALID_ARGUMENT", "PATH_INVALID", "the path cannot be read");
}

function noSuchPath(path: string): Fault {
  return new Fault("NOT_FOUND", "PATH_NOT_FOUND", "there is nothing at this path", { path });
}

function refusalOf(
  request: FastifyRequest,
  asker: Asker | undefined,
  fault: Fault,
  clock: Clock,
): AuditEntry {
  const { remoteAddress = "", remotePort = 0 } = request.socket;
  const claims = asker?.claims;
  return {
    ...{ timeMs: clock.now(), kind: "", object: "", traceId: "", count: 1 },
    method: `${request.method} ${request.routeOptions.url ?? "/"}`,
    action: "traces:read",
    subject: claims?.subject ?? "",
    org: claims?.org ?? "",
    token: claims?.ids.join(" ") ?? "",
    code: fault.code,
    reason: fault.reason,
    client: `${remoteAddress}:${remotePort}`,
  };
}
