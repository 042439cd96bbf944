import type { ServerResponse } from "node:http";
import { Fault } from "../../lib/faults/fault.ts";
import { HTTP_STATUS } from "../../lib/faults/http-status.ts";

/** Texts that clients of the Fly Machines API look for, by reason. */
const TEXTS: Readonly<Record<string, string>> = {
  APP_NOT_FOUND: "Could not find App",
  MACHINE_NOT_FOUND: "machine not found",
  RATE_LIMITED: "resource_exhausted: rate limit exceeded",
};
const STATUS: Readonly<Record<string, number>> = { BODY_TOO_LARGE: 413, METHOD_NOT_ALLOWED_HERE: 405 };

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
  });
  response.end(text);
}

/** Answers with an error, as the REST API does. */
export function sendFault(response: ServerResponse, fault: Fault): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const status = STATUS[fault.reason] ?? HTTP_STATUS[fault.code];
  const code = fault.code.toLowerCase();
  if (status === 429 || fault.retryAfterMs !== undefined)
    response.setHeader("retry-after", Math.max(1, Math.ceil((fault.retryAfterMs ?? 0) / 1_000)));
  const violations = fault.violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  const text = TEXTS[fault.reason] ?? `${code}: ${violations || fault.message}`;
  sendJson(response, status, { error: text, status: code, reason: fault.reason });
}

/** Hides what is not meant for callers. */
export function faultOf(err: unknown): Fault {
  return err instanceof Fault
    ? err
    : new Fault("INTERNAL", "INTERNAL", "the request failed", {}, { cause: err });
}
