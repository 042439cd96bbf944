import {
  constants,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Connection } from "../../connection.ts";
import type { FlatHeaders } from "../exchange.ts";
import type { HandleExchange } from "./h1-front.ts";
import { H2Exchange } from "./h2-exchange.ts";

/** Bounds of connections by HTTP/2. */
export interface H2Limits {
  /** Of the headers of a request, as HPACK counts them. */
  readonly headBytes: number;
  readonly streams: number;
  /** A connection without requests is closed after so long. */
  readonly idleMs: number;
}

/** What a client may send of one request before somebody reads it, and of all requests of a connection. */
const WINDOW_BYTES = 128 * 1024;
const CONNECTION_WINDOW_BYTES = 8 * 1024 * 1024;
const MAX_HEADERS = 256;

/** Reads requests by HTTP/2 from connections that it is given. */
export class H2Front {
  readonly #server: Http2Server;
  readonly #handle: HandleExchange;
  readonly #limits: H2Limits;
  readonly #sessions = new Set<ServerHttp2Session>();
  #isDraining = false;

  constructor(handle: HandleExchange, limits: H2Limits) {
    this.#handle = handle;
    this.#limits = limits;
    this.#server = createServer({
      settings: {
        maxConcurrentStreams: limits.streams,
        initialWindowSize: WINDOW_BYTES,
        maxHeaderListSize: limits.headBytes,
        // For WebSockets.
        enableConnectProtocol: true,
      },
      maxHeaderListPairs: MAX_HEADERS,
      // Programs repeat headers that should be there once, and browsers take them by HTTP/1.1.
      strictSingleValueFields: false,
      maxOutstandingPings: 10,
      maxSettings: 32,
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: 100,
      // A client that begins requests and resets them at once gets a GOAWAY (CVE-2023-44487).
      streamResetBurst: 200,
      streamResetRate: 33,
    });
    // Its sessions fail for themselves.
    this.#server.on("sessionError", () => {});
  }

  /** Serves a connection. */
  accept(socket: Socket, connection: Connection): void {
    const onSession = (session: ServerHttp2Session) => this.#serve(session, connection);
    this.#server.once("session", onSession);
    // Half a connection is none by HTTP/2: without this, requests of clients that have left would go on.
    socket.once("end", () => socket.destroy());
    this.#server.emit("connection", socket);
    this.#server.off("session", onSession);
  }

  /** Takes no more requests; those under way go on. */
  drain(): void {
    this.#isDraining = true;
    for (const session of this.#sessions) session.close();
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #serve(session: ServerHttp2Session, connection: Connection): void {
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    let streams = 0;
    session.setTimeout(this.#limits.idleMs, () => {
      if (streams === 0) session.close();
    });
    session.on("stream", (stream: ServerHttp2Stream, _headers, flags: number, raw: FlatHeaders = []) => {
      streams += 1;
      connection.identified();
      stream.once("close", () => {
        streams -= 1;
      });
      if (this.#isDraining) return stream.close(constants.NGHTTP2_REFUSED_STREAM);
      const isBodiless = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      void this.#handle(new H2Exchange(stream, raw, isBodiless, connection));
    });
  }
}
