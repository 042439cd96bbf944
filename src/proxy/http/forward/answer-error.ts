import { errorAnswer, grpcStatus, isGrpc } from "../../answers/error-answer.ts";
import { ProxyError } from "../../proxy-error.ts";
import type { Exchange } from "../exchange.ts";
import { headerOf } from "../headers/fields.ts";
import { type AnswerFacts, wakeHeaders } from "../headers/response-headers.ts";
import type { RequestTarget } from "../headers/target.ts";

/** Answers a request with an error of the proxy. */
export function answerError(exchange: Exchange, error: ProxyError, { requestId, wake }: AnswerFacts): void {
  const accept = headerOf(exchange.headers, "accept") ?? "";
  const contentType = headerOf(exchange.headers, "content-type") ?? "";
  const { status, headers, body } = errorAnswer(
    error,
    { accept, contentType, isRepeatable: exchange.method === "GET" },
    requestId,
  );
  const all = [...headers, ...wakeHeaders(wake).flat()];
  exchange.begin({ status, statusText: "", headers: all }, body === "").end(body);
}

/** Ends an answer that has begun. A client of gRPC learns why: a stream that is reset would not say that it may try again. */
export function cutAnswer(exchange: Exchange, error: ProxyError): void {
  const contentType = headerOf(exchange.headers, "content-type") ?? "";
  // In gRPC-Web they are part of the body.
  const hasTrailers = isGrpc(contentType) && !/^application\/grpc-web/i.test(contentType);
  exchange.cut(hasTrailers ? grpcStatus(error) : undefined);
}

/** Sends a client to https. Returns the status. @throws ProxyError `BAD_REQUEST` for gRPC, which follows nobody */
export function redirectToHttps(exchange: Exchange, asked: RequestTarget, port: number): number {
  if (isGrpc(headerOf(exchange.headers, "content-type") ?? ""))
    throw new ProxyError("BAD_REQUEST", "the service takes TLS only");
  const isRead = exchange.method === "GET" || exchange.method === "HEAD";
  const status = isRead ? 301 : 308;
  const host = `${asked.hostname}${port === 443 ? "" : `:${port}`}`;
  const path = asked.path === "*" ? "" : asked.path;
  const headers = [
    "location",
    `https://${host}${path}`,
    "content-length",
    "0",
    "date",
    new Date().toUTCString(),
  ];
  exchange.begin({ status, statusText: "", headers }, true).end();
  return status;
}
