import type { FastifySchema } from "fastify";
import { z } from "zod";
import { answers } from "../requests/answers.ts";
import type { RouteDocs, Rpc } from "../requests/route.ts";

const ERRORS: Readonly<Record<string, string>> = {
  "4XX": "The request cannot be served: the text says why.",
  "5XX": "Something is not there, not built yet, or went wrong inside.",
};
const NO_BODY = new Set([202, 204, 101, 501]);
const PARAMETERS: Readonly<Record<string, string>> = {
  app: "Name of the app.",
  id: "Id of the machine.",
  org: "Slug of the organisation.",
};

/** What every operation has in common. */
export const DOCUMENT = {
  openapi: {
    openapi: "3.1.0",
    info: {
      title: "Windhover Machines API",
      description:
        "Micro-VMs from OCI images. Compatible with the Fly Machines API: names, codes and texts are its own. Every answer has `fly-request-id` and `fly-trace-id`; members without a value are left out. Bodies are JSON whatever their content type says, at most 1 MiB. Durations are text with a unit; in bodies a number counts nanoseconds, in queries seconds.",
      version: "1",
    },
    servers: [{ url: "/" }],
    security: [{ token: [] }],
    components: {
      securitySchemes: {
        token: {
          type: "http" as const,
          scheme: "bearer",
          description:
            "`Authorization: Bearer`, `FlyV1` or `Bearer FlyV1`, and a token of `hover token create`.",
        },
      },
    },
  },
  // Fastify has checked nothing itself.
  refResolver: {
    buildLocalReference: (_json: unknown, _base: unknown, _fragment: unknown, i: number) => `def-${i}`,
  },
};

/** Converts a route to the schema that its part of the OpenAPI document is made of: its own schemas, by which it checks requests. */
export function docsOf(route: RouteDocs & { readonly rpc?: Rpc<never, unknown> }): FastifySchema {
  const { tag, summary, description, query, body, answer, status = 200 } = route;
  const success = answer === undefined ? undefined : answers[answer];
  const headers = headersOf(route.rpc);
  return {
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...paramsOf(route.path),
    ...(query ? { querystring: toJsonSchema(query) } : {}),
    ...(headers ? { headers } : {}),
    ...(body && route.method !== "GET" ? { body: toJsonSchema(body) } : {}),
    response: {
      [status]: {
        description: status === 501 ? "Not built yet." : "Success.",
        ...(success
          ? { content: { "application/json": { schema: toJsonSchema(success) } } }
          : NO_BODY.has(status)
            ? {}
            : { content: { [route.answerType ?? "application/json"]: { schema: {} } } }),
      },
      ...Object.fromEntries(
        Object.entries(ERRORS).map(([code, text]) => [
          code,
          { description: text, content: { "application/json": { schema: toJsonSchema(answers.error) } } },
        ]),
      ),
    },
  } as FastifySchema;
}

/** The headers that an RPC takes, by the fields of its request. */
function headersOf(rpc: Rpc<never, unknown> | undefined) {
  const request: object = rpc ? rpc.requestDeserialize(Buffer.alloc(0)) : {};
  const headers = {
    ...("leaseNonce" in request || "nonce" in request
      ? {
          "fly-machine-lease-nonce": {
            type: "string",
            description: "Nonce of the lease held on the machine. Needed while one is held.",
          },
        }
      : {}),
    ...("requestId" in request || "key" in request
      ? {
          "idempotency-key": {
            type: "string",
            description: "Makes the request safe to repeat, for 24 hours.",
          },
        }
      : {}),
  };
  return Object.keys(headers).length === 0 ? undefined : { type: "object", properties: headers };
}

function paramsOf(path: string) {
  const names = [...path.matchAll(/:(\w+)/g)].map(([, name = ""]) => name);
  if (names.length === 0) return {};
  const properties = Object.fromEntries(
    names.map((name) => [
      name,
      { type: "string", ...(PARAMETERS[name] ? { description: PARAMETERS[name] } : {}) },
    ]),
  );
  return { params: { type: "object", properties, required: names } };
}

/** A schema as its reader sees it: encoders' variants, which are taken too, are left out. */
function toJsonSchema(schema: z.ZodType) {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "output", unrepresentable: "any" });
  return rest;
}
