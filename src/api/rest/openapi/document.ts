import type { FastifySchema } from "fastify";
import { answers } from "../requests/answers.ts";
import type { RouteDocs, Rpc } from "../requests/route.ts";
import type { Components } from "./components.ts";
import { errorsOf, fieldsOf, operationOf, takesLease } from "./operations.ts";

/** Not `default`, which generators take for the answer of an operation that succeeds without a body. */
const OTHERS = { "4XX": "Any other refusal.", "5XX": "Any other failure." } as const;
/** How @fastify/swagger is told that an answer has no body. */
const NOTHING = { type: "null" } as const;
const NO_BODY = new Set([202, 204, 101, 501]);
const PARAMETERS: Readonly<Record<string, string>> = {
  app: "Name of the app.",
  id: "Id of the machine.",
  key: "Name of the entry.",
  org: "Slug of the organisation.",
};

/** Parts of the document besides its operations. */
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
};

/** Converts a route to its part of the OpenAPI document, made of the schemas that check its requests. */
export function docsOf(
  route: RouteDocs & { readonly rpc?: Rpc<never, unknown> },
  components: Components,
): FastifySchema {
  const { tag, summary, description, query, body, answer, status = 200 } = route;
  const { id, body: bodyName } = operationOf(route);
  const headers = headersOf(route.rpc);
  const error = { "application/json": { schema: components.use(answers.error) } };
  const errors = { ...errorsOf(route), ...OTHERS };
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...paramsOf(route.path),
    ...(query ? { querystring: components.use(query) } : {}),
    ...(headers ? { headers } : {}),
    ...(body && route.method !== "GET" ? { body: components.use(body, bodyName) } : {}),
    response: {
      [status]: {
        description: status === 501 ? "Not built yet." : "Success.",
        ...(status === 501
          ? { content: error }
          : answer
            ? { content: { "application/json": { schema: components.use(answers[answer]) } } }
            : NO_BODY.has(status)
              ? NOTHING
              : { content: { [route.answerType ?? "application/json"]: { schema: {} } } }),
      },
      ...Object.fromEntries(
        Object.entries(errors).map(([code, text]) => [code, { description: text, content: error }]),
      ),
    },
  } as FastifySchema;
}

/** The headers that an RPC takes, by the fields of its request. */
function headersOf(rpc: Rpc<never, unknown> | undefined) {
  const fields = fieldsOf(rpc);
  const has = (...names: readonly string[]) => names.some((name) => name in fields);
  const headers = {
    ...(takesLease(rpc)
      ? text("fly-machine-lease-nonce", "Nonce of the lease held on the machine. Needed while one is held.")
      : {}),
    ...(has("requestId", "key")
      ? text("idempotency-key", "Makes the request safe to repeat: the same key gives the same object.")
      : {}),
    ...(has("afterPosition", "afterSequence")
      ? text("last-event-id", "Goes on after this message of an earlier stream.")
      : {}),
  };
  return Object.keys(headers).length === 0 ? undefined : { type: "object", properties: headers };
}

function text(name: string, description: string) {
  return { [name]: { type: "string", description } };
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
