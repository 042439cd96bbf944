import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AuditEntry, AuditSink } from "../lib/audit/audit-entry.ts";
import { REFUSAL_CODES } from "../lib/audit/refusals.ts";
import type { Claims, Scope } from "../lib/auth/claims.ts";
import { readableOrg } from "../lib/auth/readable-org.ts";
import { Fault } from "../lib/faults/fault.ts";
import { limitConnections } from "../lib/limits/connection-limiter.ts";
import type { Clock } from "../lib/runtime/clock.ts";
import { logger } from "../lib/runtime/log.ts";
import { writerOf } from "./access.ts";
import { Ingest, refuseExport } from "./otlp/ingest.ts";
import { Query } from "./query.ts";
import { sendFault, sendJson } from "./reply.ts";
import type { TraceStore } from "./store/store.ts";

/** Checks an `authorization` header; throws UNAUTHENTICATED faults. */
export type Verify = (authorization: string | undefined) => Promise<Claims>;

/** A request, and who sends it once that is known. */
interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  claims?: Claims;
}

/** A request must be complete within this time. */
const REQUEST_TIMEOUT_MS = 15_000;
const CONNECTIONS = { total: 1_024, perAddress: 1_024, newTotal: 128, newPerAddress: 64 };
/** Of services, whose connections are not bounded. */
const SERVICE_SCOPES: readonly Scope[] = ["internal", "telemetry"];
const GRACE_MS = 2_000;

/**
 * Makes the receiver's HTTP server, not listening yet: OTLP in, traces out.
 *
 * @param audit takes refusals
 */
export function traceServer(store: TraceStore, verify: Verify, clock: Clock, audit?: AuditSink): Server {
  const ingest = new Ingest(store);
  const query = new Query(store, clock);
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      // The default checks these times twice a minute.
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 16 * 1024,
    },
    (request, response) => {
      const call: Call = { request, response };
      void route(call).catch((err: unknown) => {
        if (err instanceof Fault && REFUSAL_CODES.has(err.code))
          audit?.record(refusalOf(call, err, clock.now()));
        fail(call, err);
      });
    },
  );
  const connections = limitConnections(server, CONNECTIONS);
  return server;

  async function identify(call: Call): Promise<Claims> {
    const { socket, headers } = call.request;
    const claims = await verify(headers.authorization);
    call.claims = claims;
    connections.identified(
      socket,
      SERVICE_SCOPES.some((scope) => claims.scopes.includes(scope)),
    );
    return claims;
  }

  async function route(call: Call): Promise<void> {
    const { request, response } = call;
    const url = URL.parse(request.url ?? "/", "http://receiver");
    if (!url) throw noSuchPath(request.url ?? "/");
    if (url.pathname === "/healthz") {
      allow(request, "GET", "HEAD");
      return sendJson(response, 200, { status: "ok" });
    }
    if (url.pathname === "/v1/traces") {
      allow(request, "POST");
      const origin = writerOf(await identify(call));
      return await ingest.receive(request, response, origin);
    }
    const [, traceId] = /^\/api\/traces(?:\/([0-9a-fA-F]{32}))?$/.exec(url.pathname) ?? [];
    if (traceId === undefined && url.pathname !== "/api/traces") throw noSuchPath(url.pathname);
    allow(request, "GET", "HEAD");
    const org = readableOrg(await identify(call), clock.now());
    if (traceId === undefined) query.list(response, url.searchParams, org);
    else query.get(response, traceId.toLowerCase(), org);
  }
}

/** Stops taking requests. Running ones get two seconds to end. */
export async function closeServer(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  const cut = setTimeout(() => server.closeAllConnections(), GRACE_MS);
  server.closeIdleConnections();
  await closed;
  clearTimeout(cut);
}

function refusalOf({ request, claims }: Call, fault: Fault, timeMs: number): AuditEntry {
  const isWrite = request.method === "POST";
  const { remoteAddress = "", remotePort = 0 } = request.socket;
  return {
    ...{ timeMs, kind: "", object: "", traceId: "", count: 1 },
    method: isWrite ? "POST /v1/traces" : "GET /api/traces",
    action: isWrite ? "traces:write" : "traces:read",
    subject: claims?.subject ?? "",
    org: claims?.org ?? "",
    token: claims?.ids.join(" ") ?? "",
    code: fault.code,
    reason: fault.reason,
    client: `${remoteAddress}:${remotePort}`,
  };
}

function fail({ request, response }: Call, err: unknown): void {
  // The sender has gone.
  if (request.errored || response.destroyed) return;
  const fault =
    err instanceof Fault
      ? err
      : new Fault("INTERNAL", "INTERNAL", "something went wrong inside the receiver");
  if (fault.code === "INTERNAL" || fault.code === "UNAVAILABLE") {
    logger.error("a request failed", { method: request.method, reason: fault.reason, error: err });
  }
  if (request.method === "POST") refuseExport(request, response, fault);
  else sendFault(response, fault);
}

function allow(request: IncomingMessage, ...methods: readonly string[]): void {
  const method = request.method ?? "";
  if (methods.includes(method)) return;
  const allowed = methods.join(", ");
  throw new Fault("UNIMPLEMENTED", "METHOD_NOT_ALLOWED", `the method must be one of ${allowed}`, {
    method,
    allowed,
  });
}

function noSuchPath(path: string): Fault {
  const message = "there is POST /v1/traces, GET /api/traces, GET /api/traces/<trace id> and GET /healthz";
  return new Fault("NOT_FOUND", "PATH_NOT_FOUND", message, { path: path.slice(0, 200) });
}
