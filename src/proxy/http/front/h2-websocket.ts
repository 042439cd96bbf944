import { createHash, randomBytes } from "node:crypto";
import type { FlatHeaders } from "../exchange.ts";
import { headerOf } from "../headers/fields.ts";

/** RFC 6455 section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** They belong to the change of the protocol by HTTP/1.1, which HTTP/2 does not have. */
const OF_CHANGE = new Set(["connection", "upgrade", "sec-websocket-accept", "sec-websocket-key"]);

/** A WebSocket that a client begins by HTTP/2 (RFC 8441), as a program of HTTP/1.1 is asked for it. */
export class H2WebSocket {
  readonly #key = randomBytes(16).toString("base64");

  /** Whether a request begins a WebSocket. @param protocol value of `:protocol` */
  static isAsked(method: string, protocol: string | undefined): boolean {
    return method === "CONNECT" && protocol?.toLowerCase() === "websocket";
  }

  /** Returns the headers of the request by HTTP/1.1. */
  request(headers: FlatHeaders): FlatHeaders {
    return [...without(headers, OF_CHANGE), "sec-websocket-key", this.#key];
  }

  /** Returns the headers of the answer by HTTP/2. @throws Error when the program has changed to something else */
  answer(headers: FlatHeaders): FlatHeaders {
    const accept = createHash("sha1").update(`${this.#key}${GUID}`).digest("base64");
    if (headerOf(headers, "sec-websocket-accept") !== accept)
      throw new Error("the machine has accepted another WebSocket than the one that was asked for");
    return without(headers, OF_CHANGE);
  }
}

function without(headers: FlatHeaders, names: ReadonlySet<string>): FlatHeaders {
  const kept: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? "";
    if (!names.has(name.toLowerCase())) kept.push(name, headers[at + 1] ?? "");
  }
  return kept;
}
