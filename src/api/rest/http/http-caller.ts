import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Context } from "@opentelemetry/api";
import type { Claims } from "../../../lib/auth/claims.ts";
import type { LocalCaller } from "../../../lib/grpc/server/local/local-calls.ts";
import type { LimitedServer } from "../../../lib/limits/connection-limiter.ts";

let nextConnection = 1;
const connections = new WeakMap<Socket, string>();

/** An HTTP request as the caller of the calls that are made for it. */
export class HttpCaller implements LocalCaller {
  readonly peer: string;
  readonly connection: string;
  readonly authorization: string | undefined;
  readonly context: Context;
  readonly #server: LimitedServer;
  readonly #socket: Socket;
  readonly #response: ServerResponse;
  readonly #gone = new AbortController();
  readonly #onClosed: (() => void)[] = [];
  #isClosed = false;

  /** @param server counts its connections */
  constructor(request: IncomingMessage, response: ServerResponse, context: Context, server: LimitedServer) {
    this.#server = server;
    this.#socket = request.socket;
    const { socket, headers } = request;
    this.peer = `${socket.remoteAddress ?? "local"}:${socket.remotePort ?? 0}`;
    this.connection = connectionId(socket);
    this.authorization = headers.authorization;
    this.context = context;
    this.#response = response;
    response.once("close", () => {
      this.#isClosed = true;
      if (!response.writableFinished) this.#gone.abort();
      for (const callback of this.#onClosed) callback();
    });
  }

  identified({ scopes }: Claims): void {
    this.#server.identified(this.#socket, scopes.includes("internal"));
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  get unreadBytes(): number {
    return this.#response.writableLength;
  }

  breakOff(): void {
    this.#response.destroy();
  }

  onClosed(callback: () => void): void {
    if (this.#isClosed) callback();
    else this.#onClosed.push(callback);
  }
}

/** Names a connection. */
function connectionId(socket: Socket): string {
  let id = connections.get(socket);
  if (id === undefined) {
    id = `rest-${nextConnection++}`;
    connections.set(socket, id);
  }
  return id;
}
