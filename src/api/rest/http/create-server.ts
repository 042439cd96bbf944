import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import cors from "@fastify/cors";
import webSocket from "@fastify/websocket";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { Fault, isServerFault } from "../../../lib/faults/fault.ts";
import type { LocalCalls } from "../../../lib/grpc/server/local/local-calls.ts";
import { asFault } from "../../../lib/grpc/status.ts";
import { type ConnectionLimits, limitConnections } from "../../../lib/limits/connection-limiter.ts";
import { logger } from "../../../lib/runtime/log.ts";
import { errorAnswer } from "../errors/answer.ts";
import { httpConnections, REST_LIMITS } from "../requests/limits.ts";
import { answerBrokenRequest } from "./broken-requests.ts";
import { beginExchange, type Exchange } from "./exchange.ts";
import { sendJson } from "./register-route.ts";
import { allowedMethods, type Known } from "./unknown-routes.ts";

export interface ServerParts {
  readonly calls: LocalCalls;
  readonly region: string;
  /** Of the gRPC port, from which those of this one follow. */
  readonly connections: ConnectionLimits;
  /** Origins whose pages may read answers; `*` for all. */
  readonly origins: readonly string[];
  /** For headers, and for whole requests. Default: those of {@link REST_LIMITS}. */
  readonly arrivalMs?: { readonly headers: number; readonly request: number };
  /** The routes that exist, for answers to unknown ones. */
  readonly known: Known;
}

/** Headers that pages of other origins may read. */
const EXPOSED = ["fly-request-id", "fly-trace-id", "traceparent", "retry-after", "allow"];

/**
 * Makes an HTTP server that answers every request with JSON and ids, bounded against slow and
 * greedy clients.
 */
export async function createRestServer(parts: ServerParts) {
  const { calls, region, connections, origins, known } = parts;
  const arrivalMs = parts.arrivalMs ?? { headers: REST_LIMITS.headersMs, request: REST_LIMITS.requestMs };
  const exchanges = new WeakMap<FastifyRequest, Exchange>();
  const inFlight = new WeakMap<Socket, number>();
  const server: FastifyInstance = fastify({
    logger: false,
    bodyLimit: REST_LIMITS.bodyBytes,
    requestTimeout: arrivalMs.request,
    keepAliveTimeout: REST_LIMITS.keepAliveMs,
    forceCloseConnections: "idle",
    return503OnClosing: false,
    exposeHeadRoutes: true,
    routerOptions: {
      ignoreTrailingSlash: true,
      maxParamLength: REST_LIMITS.parameterBytes,
    },
    rewriteUrl: ({ url = "/" }) => pathAsServed(url),
    http: {
      headersTimeout: arrivalMs.headers,
      maxHeaderSize: REST_LIMITS.headerBytes,
      // The default checks these times twice a minute.
      connectionsCheckingInterval: 1_000,
      // Otherwise Node itself answers, without a body.
      requireHostHeader: false,
      // Clients that offer HTTP/2 by an upgrade get an answer over HTTP/1.1.
      // One that was sent ahead of an answer does too: its connection is not free yet.
      shouldUpgradeCallback: (request) => isWebSocket(request) && !inFlight.get(request.socket),
    },
    clientErrorHandler: (err, socket) => answerBrokenRequest(err, socket as Socket, region),
    frameworkErrors: (err, request, reply) => {
      begin(request, reply);
      fail(badPath(err.message), request, reply);
    },
  });
  const limited = limitConnections(server.server, httpConnections(connections));
  // Node itself would answer 417 without a body.
  server.server.on("checkExpectation", (request, response) =>
    server.server.emit("request", request, response),
  );
  // Node itself would close the connection without an answer.
  server.server.on("connect", (_request, socket) => {
    answerBrokenRequest(Object.assign(new Error("CONNECT"), { code: "CONNECT" }), socket as Socket, region);
  });

  function begin(request: FastifyRequest, reply: FastifyReply): Exchange {
    const exchange = beginExchange(request, reply, { region, limited });
    exchanges.set(request, exchange);
    return exchange;
  }

  function fail(err: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const { raw } = request;
    // The body has broken off, or the client has gone.
    const hasGone = (raw.destroyed && !raw.complete) || exchanges.get(request)?.caller.signal.aborted;
    const fault = hasGone ? new Fault("CANCELLED", "CANCELLED", "the client has gone") : asFault(err);
    report(request, fault);
    const { status, headers, body } = errorAnswer(fault, actionOf(request));
    reply.headers(headers);
    // What is left of the request is not read.
    if (!raw.readableEnded && hasBody(raw)) reply.header("connection", "close");
    const requestId = exchanges.get(request)?.requestId;
    const send = () => sendJson(reply, status, { ...body, ...(requestId ? { request_id: requestId } : {}) });
    if (status === 401 || status === 429) calls.answerRefusal(send);
    else send();
  }

  server.setErrorHandler((err, request, reply) => {
    fail(err, request, reply);
    return reply;
  });
  server.setNotFoundHandler((request) => {
    throw unknownRoute(request, known);
  });
  server.addHook("onRequest", async (request, reply) => {
    begin(request, reply);
    bound(request.raw, reply, inFlight);
    if (request.method !== "OPTIONS") return;
    const allowed = allowedMethods(pathOf(request), known);
    if (allowed.length > 0) reply.header("allow", allowed.join(", "));
    // A preflight of an unknown path is answered; its request then gets the error.
    else if (!request.headers["access-control-request-method"] && pathOf(request) !== WHOLE_SERVER)
      throw unknownRoute(request, known);
  });
  // Bodies are read by the routes, once it is known who sends them.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("*", (_request, _payload, done) => done(null));
  server.addHook("onRequest", async (request) => {
    request.raw.headers["content-type"] = "application/json";
  });
  await server.register(webSocket, { options: { maxPayload: REST_LIMITS.bodyBytes } });
  await server.register(cors, {
    origin: origins.includes("*") ? "*" : [...origins],
    methods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    exposedHeaders: EXPOSED,
    maxAge: 600,
    strictPreflight: false,
  });
  // Pages of other origins may read this, too.
  server.addHook("onRequest", async (request) => {
    if (request.is404) throw unknownRoute(request, known);
  });
  const exchangeOf = (request: FastifyRequest): Exchange => {
    const exchange = exchanges.get(request);
    if (!exchange) throw new Error("the request has not begun");
    return exchange;
  };
  return { server, exchangeOf };
}

/** Path of an `OPTIONS *`, with the slash that every path has. */
const WHOLE_SERVER = "/*";
const SOCKET_KEY = /^[+/0-9A-Za-z]{22}==$/;

/** Whether a request asks for a WebSocket where there is one; any other gets an answer over HTTP/1.1. */
function isWebSocket({ method, url = "", headers }: IncomingMessage): boolean {
  return (
    headers.upgrade?.toLowerCase() === "websocket" &&
    method === "GET" &&
    SOCKET_KEY.test(headers["sec-websocket-key"] ?? "") &&
    /^(?:8|13)$/.test(headers["sec-websocket-version"] ?? "") &&
    /\/exec\/stream\/?(?:\?|$)/.test(url)
  );
}

/**
 * Returns path and query of a request. Proxies are asked for whole addresses, and a base address that
 * ends with a slash makes two at the front. Others count: an empty name is not another path. Clients
 * that are generated put the version before paths that have one already.
 */
function pathAsServed(url: string): string {
  const path = url.replace(/^https?:\/\/[^/?]*/i, "").replace(/^\/*/, "/");
  return path.replace(/^\/v1\/v1(?=\/)/, "/v1");
}

/** Bounds the requests that a connection sends before it has read their answers. */
function bound({ socket }: IncomingMessage, reply: FastifyReply, inFlight: WeakMap<Socket, number>): void {
  const count = (inFlight.get(socket) ?? 0) + 1;
  inFlight.set(socket, count);
  reply.raw.once("close", () => inFlight.set(socket, (inFlight.get(socket) ?? 1) - 1));
  if (count <= REST_LIMITS.requestsPerConnection) return;
  reply.header("connection", "close");
  const limit = String(REST_LIMITS.requestsPerConnection);
  const message = `at most ${limit} requests of a connection are answered at a time; read the answers first`;
  throw new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_PIPELINED", message, { limit }, { retryAfterMs: 1_000 });
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function unknownRoute(request: FastifyRequest, known: Known): Fault {
  const { method } = request;
  const path = pathOf(request);
  const allowed = allowedMethods(path, known);
  if (allowed.includes(method)) return badPath("a part of it is too long");
  if (allowed.length > 0) {
    const list = allowed.join(", ");
    const message = `${method} is not allowed here; allowed are ${list}`;
    return new Fault("INVALID_ARGUMENT", "METHOD_NOT_ALLOWED_HERE", message, { method, allowed: list });
  }
  const message = `there is no route ${method} ${path}; GET /v1/openapi.json describes those that there are`;
  return new Fault("NOT_FOUND", "ROUTE_NOT_FOUND", message, { method, path });
}

function pathOf({ raw }: FastifyRequest): string {
  return (raw.url ?? "/").split("?")[0]?.slice(0, 200) ?? "/";
}

/** Returns the action of a route on a machine, as clients name it; empty for other routes. */
function actionOf({ method, routeOptions }: FastifyRequest): string {
  const [, last = ""] = /\/machines\/:id(?:\/(\w+))?$/.exec(routeOptions.url ?? "") ?? [];
  if (last === "") return method === "DELETE" ? "destroy" : method === "POST" ? "update" : "";
  return MACHINE_ACTIONS.has(last) ? last : "";
}

const MACHINE_ACTIONS = new Set(["start", "stop", "restart", "suspend", "signal", "cordon", "uncordon"]);

function badPath(message: string): Fault {
  return new Fault("INVALID_ARGUMENT", "PATH_INVALID", `the path cannot be read: ${message.slice(0, 200)}`);
}

function report(request: FastifyRequest, fault: Fault): void {
  const facts = { method: request.method, route: request.routeOptions.url ?? "", reason: fault.reason };
  if (fault.code === "INTERNAL" || fault.code === "UNKNOWN" || fault.code === "DATA_LOSS")
    logger.error("a REST request failed", { ...facts, error: fault });
  else if (isServerFault(fault.code)) logger.debug("a REST request could not be served", facts);
}
