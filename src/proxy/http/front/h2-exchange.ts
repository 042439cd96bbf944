import { constants, type ServerHttp2Stream } from "node:http2";
import type { Duplex, Readable, Writable } from "node:stream";
import type { Connection } from "../../connection.ts";
import type { AnswerHead, Exchange, FlatHeaders } from "../exchange.ts";
import { cleanTrailers } from "../headers/fields.ts";
import { lowerCase, trailerObject, withoutPseudo } from "../headers/h2-headers.ts";

/** A request by HTTP/2. */
export class H2Exchange implements Exchange {
  readonly version = "2";
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly headers: FlatHeaders;
  readonly body: Readable | undefined;
  readonly connection: Connection;
  readonly upgrade = "";
  readonly #stream: ServerHttp2Stream;
  readonly #left = new AbortController();
  #requestTrailers: FlatHeaders = [];
  #trailers: FlatHeaders = [];
  #hasBegun = false;
  #isContinued = false;

  constructor(stream: ServerHttp2Stream, raw: FlatHeaders, isBodiless: boolean, connection: Connection) {
    this.#stream = stream;
    this.connection = connection;
    const pseudo = pseudoOf(raw);
    this.method = pseudo.get(":method") ?? "";
    this.target = pseudo.get(":path") ?? "";
    this.authority = pseudo.get(":authority") ?? "";
    this.headers = joinCookies(withoutPseudo(raw));
    this.body = isBodiless ? undefined : stream;
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
    const isBodiless = isEmpty || this.method === "HEAD" || status === 204 || status === 304;
    stream.respond([":status", String(status), ...lowerCase(headers)], {
      endStream: isBodiless,
      waitForTrailers: !isBodiless,
    });
    this.#hasBegun = true;
    // A client that still sends a body that nobody reads is told to stop, once it has the answer.
    stream.once("finish", () => {
      if (!stream.readableEnded && this.body) setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
    });
    return stream;
  }

  trail(headers: FlatHeaders): void {
    this.#trailers = headers;
  }

  /** Is not called: nothing asks to change from HTTP/2. */
  change(): Duplex {
    throw new Error("HTTP/2 does not change to other protocols");
  }

  cut(): void {
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
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
