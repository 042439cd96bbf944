import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { LocalCall } from "../../../lib/grpc/server/local/local-calls.ts";
import { acceptsSse } from "../requests/accept.ts";
import { TIMEOUT_MS } from "../requests/limits.ts";
import { notBuiltYet, RestRequest, type Route, type RouteParts } from "../requests/route.ts";
import type { Exchange } from "./exchange.ts";
import { type Bodies, parseBody } from "./read-body.ts";

const JSON_TYPE = "application/json; charset=utf-8";
/** DELETE takes none: what clients send along does no harm. */
const WITHOUT_BODY = new Set(["GET", "HEAD", "DELETE"]);

/** What is known of a request that has arrived. */
type ExchangeOf = (request: FastifyRequest) => Exchange;

/**
 * Serves a route. Who calls is checked before the body is read, so that strangers cannot send any.
 */
export function registerRoute(
  server: FastifyInstance,
  registered: Route,
  parts: RouteParts & { readonly bodies: Bodies },
  exchangeOf: ExchangeOf,
): void {
  const { calls, bodies } = parts;
  const begun = new WeakMap<FastifyRequest, LocalCall<never, unknown>>();
  const chosen = ({ headers }: FastifyRequest) =>
    registered.sse && acceptsSse(headers.accept) ? registered.sse : registered;
  server.route({
    method: registered.method,
    url: registered.path,
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
    async handler(request, reply) {
      const route = chosen(request);
      const call = begun.get(request);
      if (!call) throw notBuiltYet(route);
      const { caller } = exchangeOf(request);
      try {
        const bytes = WITHOUT_BODY.has(request.method)
          ? Buffer.alloc(0)
          : await bodies.read(request.raw, call.claims?.org ?? "");
        const arrived = {
          params: paramsOf(request.params),
          query: request.query as Record<string, unknown>,
          headers: request.headers,
          body: parseBody(bytes),
        };
        const answer = await route.handle(
          new RestRequest<never, never, never, never>(route as never, call as never, parts, arrived, caller),
        );
        const { body, status = route.status ?? 200, contentType = JSON_TYPE } = answer;
        reply.code(status).header("content-type", contentType);
        if (body !== undefined && isStream(body)) {
          if (request.method !== "HEAD") return reply.send(Readable.from(counted(body, call)));
          await body.return?.(undefined);
          return reply.send();
        }
        const text = body === undefined ? "" : JSON.stringify(body);
        call.answered(text.length);
        return reply.send(text);
      } catch (err) {
        // Ends calls that were not made after all; others have ended.
        call.refused(err);
        throw err;
      }
    },
  });
}

/** Sends an error as it is told to REST clients. */
export function sendJson(reply: FastifyReply, status: number, body: unknown): FastifyReply {
  return reply.code(status).header("content-type", JSON_TYPE).send(JSON.stringify(body));
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

async function* counted(
  body: AsyncIterable<string>,
  call: LocalCall<never, unknown>,
): AsyncGenerator<string> {
  for await (const text of body) {
    call.answered(text.length);
    yield text;
  }
}
