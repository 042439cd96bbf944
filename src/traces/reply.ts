import type { ServerResponse } from "node:http";
import type { Code, Fault } from "../lib/faults/fault.ts";

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  sendText(response, status, JSON.stringify(body));
}

export function sendText(response: ServerResponse, status: number, json: string): void {
  send(response, status, "application/json", Buffer.from(json));
}

export function send(response: ServerResponse, status: number, type: string, body: Uint8Array): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    "content-type": type,
    "content-length": body.length,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}

/** Answers a failed request of the query API. */
export function sendFault(response: ServerResponse, fault: Fault): void {
  setHeaders(response, fault);
  const { code, reason, message } = fault;
  sendJson(response, httpStatus(fault), { error: { code, reason, message, facts: fault.facts } });
}

/** Sets the headers that belong to a fault. */
export function setHeaders(response: ServerResponse, fault: Fault): void {
  if (fault.code === "UNAUTHENTICATED") response.setHeader("www-authenticate", "Bearer");
  if (fault.retryAfterMs !== undefined)
    response.setHeader("retry-after", Math.ceil(fault.retryAfterMs / 1_000));
  if (fault.reason === "METHOD_NOT_ALLOWED") response.setHeader("allow", fault.facts["allowed"] ?? "");
  // The rest of an unread body must not be taken for the next request.
  response.setHeader("connection", "close");
}

export function httpStatus(fault: Fault): number {
  return fault.reason === "METHOD_NOT_ALLOWED" ? 405 : (STATUS[fault.code] ?? 500);
}

const STATUS: Partial<Record<Code, number>> = {
  INVALID_ARGUMENT: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  OUT_OF_RANGE: 413,
  UNIMPLEMENTED: 415,
  RESOURCE_EXHAUSTED: 429,
  UNAVAILABLE: 503,
};
