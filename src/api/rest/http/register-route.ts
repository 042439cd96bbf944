import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { WebSocket } from "ws";
import { Fault } from "../../../lib/faults/fault.ts";
import type { LocalCall } from "../../../lib/grpc/server/local/local-call.ts";
import { checkAppName } from "../../requests/names.ts";
import type { JsonObject } from "../convert/json.ts";
import type { Components } from "../openapi/components.ts";
import { docsOf } from "../openapi/document.ts";
import { acceptsSse } from "../requests/accept.ts";
import { TIMEOUT_MS } from "../requests/limits.ts";
import { plainQuery } from "../requests/plain-query.ts";
import { inRestNames } from "../requests/rest-names.ts";
import { notBuiltYet, RestRequest, type Route, type RouteParts } from "../requests/route.ts";
import type { Exchange } from "./exchange.ts";
import { type Bodies, parseAnyBody, parseBody } from "./read-body.ts";

const JSON_TYPE = "application/json; charset=utf-8";
const WITHOUT_BODY = new Set(["GET", "HEAD"]);
/** Close code of a WebSocket that no route serves. */
const UNEXPECTED = 1_011;

type Call = LocalCall<never, unknown>;

/** The parts that serve routes. */
export interface Registrar {
  readonly parts: RouteParts & { readonly bodies: Bodies };
  /** Components of the OpenAPI document. */
  readonly components: Components;
  /** Returns the exchange of a request. */
  exchangeOf(request: FastifyRequest): Exchange;
}

/** Serves a route. Checks the caller before it reads the body, so that strangers cannot send any. */
export function registerRoute(
  server: FastifyInstance,
  registered: Route,
  { parts, components, exchangeOf }: Registrar,
): void {
  const { calls, bodies } = parts;
  const begun = new WeakMap<FastifyRequest, Call>();
  const chosen = ({ headers }: FastifyRequest) =>
    registered.sse && acceptsSse(headers.accept) ? registered.sse : registered;
  const requestOf = (route: Route, request: FastifyRequest, call: Call, body: JsonObject) => {
    const arrived = {
      params: paramsOf(request.params),
      // Fastify makes an object of texts and lists of texts.
      query: plainQuery(request.query as Record<string, unknown>),
      headers: request.headers,
      body,
    };
    const { caller } = exchangeOf(request);
    // The call is of the route's own RPC.
    return new RestRequest<never, never, never, never>(route as never, call as never, parts, arrived, caller);
  };
  const serveSocket = (socket: WebSocket, request: FastifyRequest) => {
    const call = begun.get(request);
    if (!call || !registered.webSocket) return socket.close(UNEXPECTED);
    void registered.webSocket(requestOf(registered, request, call, {}), call as never, socket);
  };

  server.route({
    method: registered.method,
    url: registered.path,
    schema: docsOf(registered, components),
    async onRequest(request) {
      const { caller } = exchangeOf(request);
      const route = chosen(request);
      if (!route.rpc) {
        await calls.identify(caller);
        throw notBuiltYet(route);
      }
      const call = await calls.begin(route.rpc, caller, route.timeoutMs ?? timeoutOf(route));
      begun.set(request, call);
    },
    ...(registered.webSocket ? { wsHandler: serveSocket } : {}),
    async handler(request, reply) {
      const route = chosen(request);
      const call = begun.get(request);
      if (!call) throw notBuiltYet(route);
      try {
        requireApp(request.params);
        const org = call.claims?.org ?? "";
        const bytes = takesBody(route, request) ? await bodies.read(request.raw, org) : Buffer.alloc(0);
        const mayBeAny = request.method === "DELETE" || route.body === undefined;
        const given = mayBeAny ? parseAnyBody(bytes) : parseBody(bytes);
        const answer = await route.handle(requestOf(route, request, call, given));
        const { body, status = route.status ?? 200, contentType = JSON_TYPE } = answer;
        reply.code(status).header("content-type", contentType);
        if (body !== undefined && isStream(body)) {
          if (request.method !== "HEAD") return reply.send(Readable.from(counted(body, call)));
          // A generator that was never read does not end what it reads from.
          const unread = new Fault("CANCELLED", "CANCELLED", "a HEAD reads no stream");
          call.refuse(unread);
          call.refused(unread);
          await body.return(undefined);
          return reply.send();
        }
        const text = body === undefined ? "" : JSON.stringify(body);
        call.answered(text.length);
        return reply.send(text);
      } catch (err) {
        // Ends a call that was not made after all; others have ended.
        call.refused(err);
        throw inRestNames(err, route.names);
      }
    },
  });
}

/** Sends JSON as the answer of a request. */
export function sendJson(reply: FastifyReply, status: number, body: unknown): FastifyReply {
  return reply.code(status).header("content-type", JSON_TYPE).send(JSON.stringify(body));
}

/**
 * Whether the body is read. That of a DELETE is, only when its route has a schema: clients send
 * some that mean nothing.
 */
function takesBody(route: Route, { method }: FastifyRequest): boolean {
  return method === "DELETE" ? route.body !== undefined : !WITHOUT_BODY.has(method);
}

/**
 * Refuses names that no app can have. An empty name would stand for all apps.
 *
 * @throws Fault APP_NOT_FOUND
 */
function requireApp(params: unknown): void {
  const { app } = paramsOf(params);
  if (app === undefined || checkAppName(app) === undefined) return;
  throw new Fault("NOT_FOUND", "APP_NOT_FOUND", "no app can have the name in the path");
}

function timeoutOf({ method }: Route): number {
  return method === "GET" ? TIMEOUT_MS.read : TIMEOUT_MS.change;
}

function paramsOf(params: unknown): Record<string, string> {
  return typeof params === "object" && params !== null ? { ...params } : {};
}

function isStream(body: object | string | number | boolean | null): body is AsyncGenerator<string> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

async function* counted(body: AsyncIterable<string>, call: Call): AsyncGenerator<string> {
  for await (const text of body) {
    call.answered(text.length);
    yield text;
  }
}
