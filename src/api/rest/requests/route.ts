import type { MethodDefinition } from "@grpc/grpc-js";
import type { WebSocket } from "ws";
import type { z } from "zod";
import type { Claims } from "../../../lib/auth/claims.ts";
import { Fault } from "../../../lib/faults/fault.ts";
import { Violations } from "../../../lib/faults/violations.ts";
import type { LocalCall } from "../../../lib/grpc/server/local/local-call.ts";
import type { LocalCaller, LocalCalls } from "../../../lib/grpc/server/local/local-calls.ts";
import { lastValues } from "../convert/fields.ts";
import type { Json, JsonObject } from "../convert/json.ts";
import { read } from "../convert/read.ts";
import type { AnswerName } from "./answers.ts";
import { TIMEOUT_MS } from "./limits.ts";
import type { Lookups } from "./lookups.ts";
import type { RestNames } from "./rest-names.ts";

/** A method of the gRPC contract. */
export type Rpc<Req, Res> = Pick<
  MethodDefinition<Req, Res>,
  "path" | "requestSerialize" | "requestDeserialize" | "responseDeserialize"
>;

export type HttpMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** The answer of a route. */
export interface Answer {
  readonly status?: number;
  /** Absent: no body. A stream is sent in pieces. */
  readonly body?: Json | AsyncGenerator<string>;
  /** Content type of a stream. */
  readonly contentType?: string;
}

/** Documentation of a route, and schemas that check its requests. */
export interface RouteDocs {
  readonly method: HttpMethod;
  /** With parameters as `:app`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** Status of a success. Default: 200. */
  readonly status?: number;
  /** Schema of the answer, for its description only. */
  readonly answer?: AnswerName;
  /** Content type of an answer that is not JSON. */
  readonly answerType?: string;
}

/** A route of the REST API: an RPC of the gRPC contract in another form. */
export interface Route extends RouteDocs {
  /** The RPC that it calls, whose rules of access and audit it has. Absent: not built yet. */
  readonly rpc?: Rpc<never, unknown>;
  readonly names?: RestNames;
  readonly timeoutMs?: number;
  /** Serves a WebSocket instead. Ends with it, and never throws. */
  readonly webSocket?: WebSocketHandler<never, never, never, never>;
  /** The route for clients that accept server-sent events, if it is another one. */
  readonly sse?: Route;
  handle(request: RestRequest<never, never, never, never>): Promise<Answer> | Answer;
}

/** Serves a WebSocket. It must listen to the socket's messages at once. */
export type WebSocketHandler<Req, Res, Q extends z.ZodObject, B extends z.ZodType> = (
  request: RestRequest<Req, Res, Q, B>,
  call: LocalCall<Req, Res>,
  socket: WebSocket,
) => Promise<void>;

/** The parts of a route. */
interface Spec<Req, Res, Q extends z.ZodObject, B extends z.ZodType> extends RouteDocs {
  readonly rpc: Rpc<Req, Res>;
  readonly query?: Q;
  readonly body?: B;
  readonly names?: RestNames;
  readonly timeoutMs?: number;
  readonly sse?: Route;
  readonly webSocket?: WebSocketHandler<Req, Res, Q, B>;
  handle(request: RestRequest<Req, Res, Q, B>): Promise<Answer> | Answer;
}

/** Makes a route. The types of its handler's requests follow from its RPC and its schemas. */
export function route<
  Req,
  Res,
  Q extends z.ZodObject = z.ZodObject,
  B extends z.ZodType = z.ZodType<JsonObject>,
>(spec: Spec<Req, Res, Q, B>): Route {
  // The handler is called with requests of its own schemas only.
  return spec as unknown as Route;
}

/** A request as it arrived, unchecked. */
export interface Arrived {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: JsonObject;
}

/** The parts of the server that handlers use. */
export interface RouteParts {
  readonly calls: LocalCalls;
  readonly lookups: Lookups;
}

const LEASE_HEADER = "fly-machine-lease-nonce";

/** A request of a caller who may make it. `read` checks query and body. */
export class RestRequest<
  Req,
  Res,
  Q extends z.ZodObject = z.ZodObject,
  B extends z.ZodType = z.ZodType<JsonObject>,
> {
  readonly arrived: Arrived;
  readonly caller: LocalCaller;
  readonly #route: Pick<Spec<Req, Res, Q, B>, "query" | "body">;
  readonly #call: LocalCall<Req, Res>;
  readonly #parts: RouteParts;

  constructor(
    route: Pick<Spec<Req, Res, Q, B>, "query" | "body">,
    call: LocalCall<Req, Res>,
    parts: RouteParts,
    arrived: Arrived,
    caller: LocalCaller,
  ) {
    this.#route = route;
    this.#call = call;
    this.#parts = parts;
    this.arrived = arrived;
    this.caller = caller;
  }

  get claims(): Claims | undefined {
    return this.#call.claims;
  }

  get org(): string {
    return this.claims?.org ?? "";
  }

  /** The parameter of the path; empty when there is none. */
  param(name: string): string {
    return this.arrived.params[name] ?? "";
  }

  /** The nonce of the lease that the caller holds; empty without one. */
  get leaseNonce(): string {
    const header = this.arrived.headers[LEASE_HEADER];
    return typeof header === "string" ? header.trim() : "";
  }

  /** Returns query and body. @throws Fault INVALID_FIELDS */
  read(): { readonly query: z.output<Q>; readonly body: z.output<B> } {
    const { query: querySchema, body: bodySchema } = this.#route;
    const violations = new Violations();
    const { query: givenQuery, body: givenBody } = this.arrived;
    const query = violations.collect(() =>
      querySchema ? read(querySchema, lastValues(givenQuery, querySchema)) : givenQuery,
    );
    const body = violations.collect(() => (bodySchema ? read(bodySchema, givenBody) : givenBody));
    violations.throwIfAny();
    // Without violations both were read.
    return { query: query as z.output<Q>, body: body as z.output<B> };
  }

  /**
   * Returns the machine that the path names.
   *
   * @throws Fault APP_NOT_FOUND, MACHINE_NOT_FOUND, also when it is another app's
   */
  async machineId(): Promise<string> {
    const id = this.param("id");
    await this.#parts.lookups.requireMachine(this.param("app"), id, this.org, this.caller.signal);
    return id;
  }

  /** Makes the route's own call. @throws Fault */
  unary(request: Req): Promise<Res> {
    return this.#call.unary(request);
  }

  /** Makes the route's own call, of a method that streams. @throws Fault */
  stream(request: Req): AsyncGenerator<Res> {
    return this.#call.stream(request);
  }

  /** Makes another call, with the rights of the caller. @throws Fault */
  async also<Req2, Res2>(rpc: Rpc<Req2, Res2>, request: Req2): Promise<Res2> {
    const call = await this.begin(rpc);
    return await call.unary(request);
  }

  /** Begins another call, with the rights of the caller. @throws Fault */
  begin<Req2, Res2>(
    rpc: Rpc<Req2, Res2>,
    timeoutMs: number = TIMEOUT_MS.change,
  ): Promise<LocalCall<Req2, Res2>> {
    return this.#parts.calls.begin(rpc, this.caller, timeoutMs);
  }
}

/** Makes the fault of a route that is part of the API and not built yet. */
export function notBuiltYet(route: RouteDocs): Fault {
  return new Fault(
    "UNIMPLEMENTED",
    "NOT_BUILT_YET",
    `${route.method} ${route.path} is part of the API and is not built yet`,
  );
}
