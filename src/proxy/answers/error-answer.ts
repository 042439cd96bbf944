import type { ProxyError } from "../proxy-error.ts";

/** An answer of the proxy itself. */
export interface ErrorAnswer {
  readonly status: number;
  /** In lower case, in turn with their values. */
  readonly headers: readonly string[];
  readonly body: string;
}

/** What a client said that it takes. */
export interface Asked {
  readonly accept: string;
  readonly contentType: string;
  /** Whether it may be asked again as it was, by GET. */
  readonly isRepeatable: boolean;
}

/** gRPC's codes for errors that its clients know: UNAVAILABLE, and others where trying again is no use. */
const GRPC_STATUS: Readonly<Record<string, number>> = {
  NO_SUCH_APP: 12,
  BAD_REQUEST: 3,
  TOO_LARGE: 8,
  UPSTREAM_TIMEOUT: 4,
  CLIENT_TIMEOUT: 4,
  LOOP: 9,
};
const UNAVAILABLE = 14;

/** Makes the answer to a request that the proxy could not serve: JSON, a page for browsers, a status for gRPC. */
export function errorAnswer(error: ProxyError, asked: Asked, requestId: string): ErrorAnswer {
  const common = [
    ...["x-windhover-error", error.code],
    ...["fly-request-id", requestId],
    ...["date", new Date().toUTCString()],
    ...["cache-control", "no-store"],
  ];
  if (error.retryAfterS !== undefined) common.push("retry-after", String(error.retryAfterS));
  if (isGrpc(asked.contentType)) return grpcAnswer(error, asked.contentType, common);
  const isPage = prefersHtml(asked.accept);
  const body = isPage ? errorPage(error, requestId, asked.isRepeatable) : errorBody(error);
  const headers = [
    ...["content-type", isPage ? "text/html; charset=utf-8" : "application/json"],
    ...["content-length", String(Buffer.byteLength(body))],
    ...(isPage ? ["content-security-policy", PAGE_POLICY] : []),
    ...common,
  ];
  return { status: error.status, headers, body };
}

/** Returns an error as JSON. */
export function errorBody({ message, code }: Pick<ProxyError, "message" | "code">): string {
  return `${JSON.stringify({ error: message, code })}\n`;
}

/** Characters that gRPC percent-encodes in a status message: `%`, and all but printable ASCII. */
const ESCAPED = /[^\x20-\x24\x26-\x7e]/gu;

/** Whether a request is one of gRPC, or of gRPC-Web, by its content type. */
export function isGrpc(contentType: string): boolean {
  return /^application\/grpc(?:$|[-+; ])/i.test(contentType);
}

/** Returns the status of gRPC for an error, as headers or trailers. */
export function grpcStatus({ code, message }: Pick<ProxyError, "code" | "message">): string[] {
  return [
    ...["grpc-status", String(GRPC_STATUS[code] ?? UNAVAILABLE)],
    ...["grpc-message", `${code}: ${message}`.toWellFormed().replaceAll(ESCAPED, encodeURIComponent)],
  ];
}

/** With the content type of the request: clients of gRPC-Web take no other. */
function grpcAnswer(error: ProxyError, contentType: string, common: readonly string[]): ErrorAnswer {
  const headers = ["content-type", contentType, ...grpcStatus(error), ...common];
  return { status: 200, headers, body: "" };
}

/** Whether HTML comes before JSON and everything else. */
function prefersHtml(accept: string): boolean {
  const html = accept.indexOf("text/html");
  const json = accept.indexOf("application/json");
  return html >= 0 && (json < 0 || html < json);
}

/** No scripts and nothing from elsewhere; the page brings its style. */
const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'";

/** A page that asks again by itself when that may help. */
function errorPage(
  { status, code, message, retryAfterS }: ProxyError,
  requestId: string,
  isRepeatable: boolean,
): string {
  const pauseS = isRepeatable && retryAfterS !== undefined ? Math.max(2, retryAfterS) : undefined;
  const again = pauseS === undefined ? "" : `<meta http-equiv="refresh" content="${pauseS}">`;
  const hint = pauseS === undefined ? "" : "<p>This page asks again by itself.</p>";
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">${again}
<title>${status} ${code}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem}code{color:#666}</style>
</head><body><h1>${status}</h1><p>${escapeHtml(message)}</p>${hint}<p><code>${code} ${escapeHtml(requestId)}</code></p></body></html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);
}
