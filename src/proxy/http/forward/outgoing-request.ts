import { ProxyError } from "../../proxy-error.ts";
import type { Outgoing } from "../backend/outgoing.ts";
import type { Exchange, FlatHeaders } from "../exchange.ts";
import { headerOf, headersOf } from "../headers/fields.ts";
import type { RequestFacts } from "../headers/request-headers.ts";
import { requestHeaders } from "../headers/request-headers.ts";
import type { RequestTarget } from "../headers/target.ts";
import type { Way } from "../replay/way.ts";

/** Names that a replay may not set: they frame the request or say who sent it. */
const FIXED = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "upgrade",
  "fly-client-ip",
]);

/** Returns a request as a machine gets it. */
export function outgoingRequest(
  exchange: Exchange,
  asked: RequestTarget,
  way: Way,
  facts: Omit<RequestFacts, "host">,
): Outgoing {
  let headers: FlatHeaders = requestHeaders(exchange, { ...facts, host: asked.host });
  let { path } = asked;
  for (const transform of way.transforms) {
    path = transform.path ?? path;
    const set = transform.setHeaders.filter(([name]) => !FIXED.has(name.toLowerCase()));
    const dropped = new Set([...transform.deleteHeaders, ...set.map(([name]) => name.toLowerCase())]);
    headers = [...without(headers, dropped), ...set.flat()];
  }
  return {
    method: exchange.method,
    path,
    headers: way.headers.length === 0 ? headers : [...headers, ...way.headers],
    length: bodyLength(exchange),
    upgrade: exchange.upgrade,
    trailers: () => exchange.requestTrailers(),
  };
}

/** @throws ProxyError `BAD_REQUEST` for codings of a body that the proxy cannot pass on */
export function bodyLength({ body, headers, version }: Exchange): Outgoing["length"] {
  const codings = headersOf(headers, "transfer-encoding");
  if (version === "1.0" && codings.length > 0)
    throw new ProxyError("BAD_REQUEST", "HTTP/1.0 has no transfer codings");
  if (codings.length > 1 || codings.some((each) => each.trim().toLowerCase() !== "chunked"))
    throw new ProxyError("BAD_REQUEST", "the transfer coding must be chunked", { status: 501 });
  if (body === undefined) return undefined;
  const length = headerOf(headers, "content-length");
  if (length === undefined) return "chunked";
  const bytes = Number(length);
  if (!Number.isSafeInteger(bytes)) throw new ProxyError("TOO_LARGE", "the body is too long");
  return bytes;
}

function without(headers: FlatHeaders, names: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = (headers[at] ?? "").toLowerCase();
    if (!names.has(name) || FIXED.has(name)) kept.push(headers[at] ?? "", headers[at + 1] ?? "");
  }
  return kept;
}
