import type { FastifyInstance } from "fastify";
import * as z from "zod";
import { missing } from "../../lib/auth/claims.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { sessionCookie, sessionOf } from "../access/cookie.ts";
import type { SessionInfo } from "../answers/session.ts";
import { type ConsoleParts, type Identify, parametersOf } from "./parts.ts";

const linkRequest = z.strictObject({ view: z.string().max(2_048).default("/") });

/** Serves links that open a session, and sessions. */
export function registerSessions(
  server: FastifyInstance,
  { access, origins }: ConsoleParts,
  identify: Identify,
): void {
  server.post("/api/links", async (request) => {
    // A session must not outlive itself by opening another.
    if (request.headers.authorization === undefined) throw missing();
    const asker = await identify(request);
    const body = linkRequest.safeParse(request.body ?? {});
    if (!body.success)
      throw new Fault("INVALID_ARGUMENT", "BODY_INVALID", 'the body may be {"view": "/?since=1h"}');
    return { url: `${origins().own}/login?code=${access.link(asker, body.data.view)}` };
  });

  server.get("/login", { exposeHeadRoute: false }, async (request, reply) => {
    const { session, view, lifeMs } = access.open(parametersOf(request).get("code") ?? "");
    reply.header("set-cookie", sessionCookie(session, lifeMs, origins().isSecure));
    return await reply.redirect(view, 303);
  });

  server.get("/api/session", async (request): Promise<SessionInfo> => {
    const { claims, org, expiresMs } = await identify(request);
    return {
      subject: claims.subject,
      org: claims.org,
      is_operator: org === undefined,
      expires_ms: expiresMs,
    };
  });

  server.post("/api/logout", async (request, reply) => {
    const session = sessionOf(request.headers.cookie, origins().isSecure);
    if (session !== undefined) access.end(session);
    return await reply
      .header("set-cookie", sessionCookie("", 0, origins().isSecure))
      .code(204)
      .send();
  });
}
