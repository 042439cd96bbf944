import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import type { Components } from "./components.ts";
import { DOCUMENT } from "./document.ts";
import { openApiPage, PAGE_POLICY } from "./page.ts";

const JSON_TYPE = "application/json; charset=utf-8";

/** Documents the routes that are registered after it. */
export async function registerOpenApi(server: FastifyInstance): Promise<void> {
  // Requests are checked by the routes themselves, by the same schemas.
  server.setValidatorCompiler(() => () => true);
  server.setSerializerCompiler(() => JSON.stringify);
  await server.register(swagger, DOCUMENT);
}

/** Serves the document and a page to read it. Neither needs a token. */
export function serveOpenApi(server: FastifyInstance, components: Components): void {
  let document: string | undefined;
  let page: string | undefined;
  const whole = () => components.finish(server.swagger());
  server.get("/v1/openapi.json", { schema: { hide: true } }, (_request, reply) => {
    document ??= JSON.stringify(whole());
    return reply.header("content-type", JSON_TYPE).send(document);
  });
  server.get("/v1/docs", { schema: { hide: true } }, (_request, reply) => {
    // The type of swagger's result.
    page ??= openApiPage(whole() as Parameters<typeof openApiPage>[0]);
    return reply
      .headers({ "content-security-policy": PAGE_POLICY, "referrer-policy": "no-referrer" })
      .type("text/html; charset=utf-8")
      .send(page);
  });
}

/** Paths of the document and the page. */
export const OPEN_PATHS = ["/v1/openapi.json", "/v1/docs"] as const;
