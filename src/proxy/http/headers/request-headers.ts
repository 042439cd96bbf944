import type { Exchange, FlatHeaders } from "../exchange.ts";
import { headersOf, hopByHop, isOurs, listOf } from "./fields.ts";

/** What the proxy says of a request, besides its connection. */
export interface RequestFacts {
  /** Value for `Host`. */
  readonly host: string;
  readonly requestId: string;
  /** When it came, in microseconds since the epoch. */
  readonly startUs: number;
  readonly region: string;
  readonly traceparent: string;
}

/** Values of `Via` that name this kind of proxy; a request that has passed so many goes in circles. */
export const MAX_PASSES = 10;
const VIA = "windhover";

/** Names that are replaced or dropped whatever the client sent. */
const REPLACED = new Set(["host", "content-length", "traceparent", "x-forwarded-for", "via"]);

/** Returns the headers that a machine gets, without those that frame the body. */
export function requestHeaders(exchange: Exchange, facts: RequestFacts): string[] {
  const { headers, connection } = exchange;
  const dropped = hopByHop(headers);
  const sent: string[] = ["host", facts.host];
  let forwardedFor = "";
  let via = "";
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? "";
    const value = headers[at + 1] ?? "";
    const exactly = name.toLowerCase();
    if (exactly === "x-forwarded-for") forwardedFor += `${value}, `;
    else if (exactly === "via") via += `${value}, `;
    // Programs behind CGI or WSGI take `_` for `-`.
    const lower = exactly.includes("_") ? exactly.replaceAll("_", "-") : exactly;
    if (dropped.has(lower) || REPLACED.has(lower) || isOurs(lower)) continue;
    sent.push(name, value);
  }
  const port = String(connection.port);
  sent.push("fly-client-ip", connection.address);
  sent.push("x-forwarded-for", forwardedFor + connection.address);
  sent.push("x-forwarded-proto", connection.isTls ? "https" : "http");
  sent.push("x-forwarded-port", port);
  sent.push("x-forwarded-host", facts.host);
  sent.push("x-forwarded-ssl", connection.isTls ? "on" : "off");
  sent.push("fly-forwarded-port", port);
  sent.push("fly-region", facts.region);
  sent.push("fly-request-id", facts.requestId);
  sent.push("x-request-start", `t=${facts.startUs}`);
  sent.push("via", via + viaOf(exchange.version));
  if (facts.traceparent !== "") sent.push("traceparent", facts.traceparent);
  return sent;
}

/** Counts the proxies of this kind that a request has passed. */
export function passes(headers: FlatHeaders): number {
  return listOf(headersOf(headers, "via")).filter((each) => each.endsWith(` ${VIA}`)).length;
}

/** The value of `Via` for a message of an HTTP version. */
export function viaOf(version: Exchange["version"]): string {
  return `${version} ${VIA}`;
}
