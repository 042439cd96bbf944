import { randomBytes } from "node:crypto";
import { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Fault } from "../../../lib/faults/fault.ts";
import { errorAnswer } from "../errors/answer.ts";
import { newRequestId } from "./exchange.ts";

const PHRASES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  405: "Method Not Allowed",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};

/** Answers what is not HTTP, comes too slowly, or has too large headers, and closes its connection. */
export function answerBrokenRequest(
  err: Error & { readonly code?: string },
  socket: Socket,
  region: string,
): void {
  // An answer that has begun cannot become another one.
  const answering: unknown = Reflect.get(socket, "_httpMessage");
  const hasBegun = answering instanceof ServerResponse && answering.headersSent;
  if (!socket.writable || hasBegun || err.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const { status, body } = errorAnswer(faultOf(err));
  const requestId = newRequestId(region);
  const text = JSON.stringify({ ...body, request_id: requestId });
  const traceId = randomBytes(16).toString("hex");
  const head = [
    `HTTP/1.1 ${status} ${PHRASES[status] ?? "Bad Request"}`,
    "content-type: application/json; charset=utf-8",
    `content-length: ${Buffer.byteLength(text)}`,
    `fly-request-id: ${requestId}`,
    `fly-trace-id: ${traceId}`,
    `traceparent: 00-${traceId}-${randomBytes(8).toString("hex")}-00`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${text}`);
}

function faultOf({ code = "" }: { readonly code?: string }): Fault {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT")
    return new Fault("DEADLINE_EXCEEDED", "REQUEST_TOO_SLOW", "the request did not arrive in time");
  if (code === "HPE_HEADER_OVERFLOW")
    return new Fault("INVALID_ARGUMENT", "HEADERS_TOO_LARGE", "the headers of the request are too large");
  if (code === "CONNECT")
    return new Fault(
      "INVALID_ARGUMENT",
      "METHOD_NOT_ALLOWED_HERE",
      "CONNECT is not allowed: this is no proxy",
    );
  return new Fault("INVALID_ARGUMENT", "NOT_HTTP", "the request is not valid HTTP", { code });
}
