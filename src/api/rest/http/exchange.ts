import type { FastifyReply, FastifyRequest } from "fastify";
import { ulid } from "ulid";
import type { LimitedServer } from "../../../lib/limits/connection-limiter.ts";
import { secondsHistogram } from "../../../lib/otel/metrics.ts";
import { HttpCaller } from "./http-caller.ts";
import { beginTrace, endTrace, type RequestTrace } from "./trace-headers.ts";

/** A request and its answer: the caller, and the ids by which both are found in logs and traces. */
export interface Exchange {
  readonly requestId: string;
  readonly trace: RequestTrace;
  readonly caller: HttpCaller;
}

const requestSeconds = secondsHistogram(
  "http_server_request_duration_seconds",
  "Duration of requests of the REST API, until their answers were taken.",
  ["http_route", "http_request_method", "http_response_status_code"],
);

/** Begins an exchange, and sets its ids as headers of every answer. */
export function beginExchange(
  request: FastifyRequest,
  reply: FastifyReply,
  { region, limited }: { readonly region: string; readonly limited: LimitedServer },
): Exchange {
  const requestId = newRequestId(region);
  const route = request.is404 ? undefined : request.routeOptions.url;
  const { method, url, protocol, raw } = request;
  const trace = beginTrace({ method, route, url, protocol, headers: raw.headers });
  const caller = new HttpCaller(request.raw, reply.raw, trace.context, limited);
  const begunMs = performance.now();
  reply.raw.once("close", () => {
    const status = reply.raw.statusCode;
    requestSeconds.observe(
      {
        http_route: route ?? "",
        http_request_method: request.method,
        http_response_status_code: String(status),
      },
      (performance.now() - begunMs) / 1_000,
      trace.span,
    );
    endTrace(trace, status);
  });
  reply.headers({
    "fly-request-id": requestId,
    "fly-trace-id": trace.traceId,
    traceparent: trace.traceparent,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  return { requestId, trace, caller };
}

/** Makes an id that sorts by time and names the region of the api that answers. */
export function newRequestId(region: string): string {
  return `${ulid()}-${region}`;
}
