import type { FlatHeaders } from "../exchange.ts";

/** Returns the values of a header. @param name in lower case */
export function headersOf(headers: FlatHeaders, name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const each = headers[at] ?? "";
    if (each.length === name.length && each.toLowerCase() === name) values.push(headers[at + 1] ?? "");
  }
  return values;
}

/** Returns the first value of a header. @param name in lower case */
export function headerOf(headers: FlatHeaders, name: string): string | undefined {
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const each = headers[at] ?? "";
    if (each.length === name.length && each.toLowerCase() === name) return headers[at + 1];
  }
  return undefined;
}

/** Splits a list such as that of `Connection`, in lower case. */
export function listOf(values: readonly string[]): string[] {
  return values
    .flatMap((value) => value.split(","))
    .map((each) => each.trim().toLowerCase())
    .filter((each) => each !== "");
}

/** Of one connection, and not of a message: RFC 9110 section 7.6.1. */
const HOP_BY_HOP = new Set([
  ...["connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"],
  ...["te", "transfer-encoding", "upgrade", "http2-settings"],
]);

/** What `Connection` may not take away: the proxy itself decides by them, or programs by what it says. */
const PROTECTED = new Set([
  ...["host", "content-length", "content-type", "content-encoding", "authorization", "cookie", "set-cookie"],
  ...["cache-control", "expect", "trailer", "date", "location", "vary"],
]);

/** Returns the names of headers that end with the connection, in lower case. */
export function hopByHop(headers: FlatHeaders): ReadonlySet<string> {
  const named = listOf(headersOf(headers, "connection")).filter((name) => !PROTECTED.has(name));
  if (named.every((name) => HOP_BY_HOP.has(name) || name === "close")) return HOP_BY_HOP;
  return new Set([...HOP_BY_HOP, ...named]);
}

/** Names that trailers may not have: RFC 9110 section 6.5.1. */
const NO_TRAILERS = new Set([
  ...["host", "content-length", "content-type", "content-encoding", "content-range", "trailer"],
  ...["authorization", "cookie", "set-cookie", "cache-control", "expect", "max-forwards", "location"],
]);

/** Returns trailers without what they must not hold. */
export function cleanTrailers(trailers: FlatHeaders): string[] {
  const clean: string[] = [];
  for (let at = 0; at + 1 < trailers.length; at += 2) {
    const name = (trailers[at] ?? "").toLowerCase();
    if (!HOP_BY_HOP.has(name) && !NO_TRAILERS.has(name) && !isOurs(name)) {
      clean.push(trailers[at] ?? "", trailers[at + 1] ?? "");
    }
  }
  return clean;
}

const OURS = new Set([
  ...["fly-client-ip", "fly-forwarded-port", "fly-region", "fly-request-id", "fly-replay-src"],
  ...["fly-replay-failed", "fly-replay-cache-status", "fly-preferred-instance-unavailable"],
  ...["x-request-start", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-host", "x-forwarded-ssl"],
  ...["x-windhover-start", "x-windhover-error"],
]);

/** Whether programs may believe a header because only the proxy sets it. @param name in lower case */
export function isOurs(name: string): boolean {
  return OURS.has(name);
}
