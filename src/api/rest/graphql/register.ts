import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Claims } from "../../../lib/auth/claims.ts";
import { Fault } from "../../../lib/faults/fault.ts";
import { parseBody } from "../http/read-body.ts";
import type { Registrar } from "../http/register-route.ts";
import { sendJson } from "../http/register-route.ts";
import { failedQuery, runQuery } from "./execute.ts";
import { resolvers } from "./service-resolvers.ts";

/** Path of queries. */
export const GRAPHQL_PATH = "/graphql";

const OK = 200;

/**
 * Serves the GraphQL queries that REST clients need. Every answer has status 200; errors are in the
 * body.
 */
export function registerGraphql(
  server: FastifyInstance,
  { parts, exchangeOf }: Pick<Registrar, "parts" | "exchangeOf">,
): void {
  const { bodies, calls } = parts;
  const known = new WeakMap<FastifyRequest, Claims>();
  server.route({
    method: "POST",
    url: GRAPHQL_PATH,
    schema: { hide: true },
    async onRequest(request, reply) {
      try {
        const claims = await calls.identify(exchangeOf(request).caller);
        if (claims) known.set(request, claims);
      } catch (err) {
        if (!(err instanceof Fault)) throw err;
        // The body of a stranger is not read.
        reply.header("connection", "close");
        await new Promise<void>((resolve) => calls.answerRefusal(resolve));
        return sendJson(reply, OK, failedQuery(err));
      }
    },
    async handler(request, reply) {
      const claims = known.get(request);
      try {
        const body = parseBody(await bodies.read(request.raw, claims?.org ?? ""));
        const root = resolvers(parts, exchangeOf(request).caller, claims?.scopes ?? []);
        return sendJson(reply, OK, await runQuery(body, root));
      } catch (err) {
        if (!(err instanceof Fault)) throw err;
        return sendJson(reply, OK, failedQuery(err));
      }
    },
  });
}
