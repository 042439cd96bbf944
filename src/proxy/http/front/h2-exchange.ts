import { constants, type ServerHttp2Stream } from "node:http2";
import type { Duplex, Readable, Writable } from "node:stream";
import type { Connection } from "../../connection.ts";
import type { AnswerHead, Exchange, FlatHeaders } from "../exchange.ts";
import { cleanTrailers } from "../headers/fields.ts";
import { lowerCase, trailerObject, withoutPseudo } from "../headers/h2-headers.ts";
import { H2WebSocket } from "./h2-websocket.ts";

/** A request by HTTP/2. */
export class H2Exchange implements Exchange {
  readonly version = "2";
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly headers: FlatHeaders;
  readonly body: Readable | undefined;
  readonly connection: Connection;
  readonly upgrade: string;
  readonly #stream: ServerHttp2Stream;
  readonly #webSocket: H2WebSocket | undefined;
  readonly #isBodiless: boolean;
  readonly #left = new AbortController();
  #requestTrailers: FlatHeaders = [];
  #trailers: FlatHeaders = [];
  #hasBegun = false;
  #isContinued = false;

  constructor(stream: ServerHttp2Stream, raw: FlatHeaders, isBodiless: boolean, connection: Connection) {
    this.#stream = stream;
    this.connection = connection;
    const pseudo = pseudoOf(raw);
    const method = pseudo.get(":method") ?? "";
    this.#webSocket = H2WebSocket.isAsked(method, pseudo.get(":protocol")) ? new H2WebSocket() : undefined;
    this.#isBodiless = isBodiless;
    this.method = this.#webSocket ? "GET" : method;
    this.upgrade = this.#webSocket ? "websocket" : "";
    this.target = pseudo.get(":path") ?? "";
    this.authority = pseudo.get(":authority") ?? "";
    const headers = joinCookies(withoutPseudo(raw));
    this.headers = this.#webSocket?.request(headers) ?? headers;
    this.body = isBodiless || this.#webSocket ? undefined : stream;
    // "close" follows.
    stream.on("error", () => {});
    stream.once("aborted", () => this.#left.abort(new Error("the client has left")));
    stream.once("close", () => {
      const isComplete = stream.writableFinished && stream.rstCode === constants.NGHTTP2_NO_ERROR;
      if (!isComplete) this.#left.abort(new Error("the client has left"));
    });
    stream.once("trailers", (_headers, _flags, trailers: FlatHeaders = []) => {
      this.#requestTrailers = trailers;
    });
    stream.once("wantTrailers", () => stream.sendTrailers(trailerObject(this.#trailers)));
  }

  get left(): AbortSignal {
    return this.#left.signal;
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  requestTrailers(): FlatHeaders {
    return cleanTrailers(this.#requestTrailers);
  }

  inform(status: number, headers: FlatHeaders): void {
    // A stream that the client has reset is closed first, and destroyed once what came before is read.
    if (this.#hasBegun || this.#stream.closed || this.#stream.destroyed) return;
    if (status === 100) {
      if (this.#isContinued) return;
      this.#isContinued = true;
    }
    this.#stream.additionalHeaders({ ":status": status, ...trailerObject(headers) });
  }

  begin({ status, headers }: AnswerHead, isEmpty: boolean): Writable {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) {
      // The client has left, and what it sent before is not read yet.
      this.#hasBegun = true;
      return stream.destroy();
    }
    const hasNoBody = isEmpty || this.method === "HEAD" || status === 204 || status === 304;
    stream.respond([":status", String(status), ...lowerCase(headers)], {
      endStream: hasNoBody,
      waitForTrailers: !hasNoBody,
    });
    this.#hasBegun = true;
    // A client that still sends a body that nobody reads is told to stop, once it has the answer.
    stream.once("finish", () => {
      if (!stream.readableEnded && !this.#isBodiless)
        setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
    });
    return stream;
  }

  trail(headers: FlatHeaders): void {
    this.#trailers = headers;
  }

  /** Only to a WebSocket: nothing else asks to change from HTTP/2. */
  change({ headers }: AnswerHead): Duplex {
    if (!this.#webSocket) throw new Error("HTTP/2 does not change to other protocols");
    const sent = lowerCase(this.#webSocket.answer(headers));
    this.#hasBegun = true;
    if (!this.#stream.closed && !this.#stream.destroyed) this.#stream.respond([":status", "200", ...sent]);
    return this.#stream;
  }

  cut(trailers?: FlatHeaders): void {
    const stream = this.#stream;
    // Behind what the client does not take, they would never come.
    if (trailers && stream.writableLength === 0) {
      this.trail(trailers);
      stream.end();
    } else stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }
}

function pseudoOf(raw: FlatHeaders): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    if (name.startsWith(":")) found.set(name, raw[at + 1] ?? "");
  }
  return found;
}

/** HTTP/2 may split cookies; HTTP/1 has one header: RFC 9113 section 8.2.3. */
function joinCookies(headers: readonly string[]): FlatHeaders {
  const cookies: string[] = [];
  const others: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? "";
    if (name === "cookie") cookies.push(headers[at + 1] ?? "");
    else others.push(name, headers[at + 1] ?? "");
  }
  return cookies.length === 0 ? headers : [...others, "cookie", cookies.join("; ")];
}
