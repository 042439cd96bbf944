import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { errorBody } from "../../answers/error-answer.ts";
import type { Connection } from "../../connection.ts";
import { ProxyError } from "../../proxy-error.ts";
import type { Exchange } from "../exchange.ts";
import { answerOn, H1Exchange } from "./h1-exchange.ts";

/** Takes requests. Never rejects. */
export type HandleExchange = (exchange: Exchange) => Promise<void>;

/** Bounds of connections by HTTP/1. */
export interface H1Limits {
  /** Of request line and headers. */
  readonly headBytes: number;
  /** Between the answer to a request and the next request. */
  readonly keepAliveMs: number;
  /** For the head of a request, from its connection or the answer before and {@link keepAliveMs}. */
  readonly headMs: number;
}

/** Requests that a client may send ahead of answers. */
const MAX_PIPELINED = 64;
/** A connection, and what is under way on it. */
interface Open {
  readonly connection: Connection;
  /** Requests that are under way or wait for their turn. */
  requests: number;
  /** Ends with the last of them. */
  turn: Promise<void> | undefined;
  /** Ends it when no whole head of a request comes in time. */
  limit: NodeJS.Timeout;
  /** The newest of them. */
  last: IncomingMessage | undefined;
  /** What came after it and is no request. */
  problem: NodeJS.ErrnoException | undefined;
}

/** Reads requests by HTTP/1 from connections that it is given. */
export class H1Front {
  readonly #server: Server;
  readonly #handle: HandleExchange;
  readonly #limits: H1Limits;
  readonly #open = new Map<Duplex, Open>();
  #isDraining = false;

  constructor(handle: HandleExchange, limits: H1Limits) {
    this.#handle = handle;
    this.#limits = limits;
    this.#server = createServer(
      {
        maxHeaderSize: limits.headBytes,
        // It does not listen itself, and so does not check these times.
        headersTimeout: 0,
        requestTimeout: 0,
        keepAliveTimeout: limits.keepAliveMs,
        requireHostHeader: false,
        noDelay: true,
        // One that was sent ahead of an answer is a request like others: the connection is not free yet.
        shouldUpgradeCallback: (request) => upgradeOf(request) !== "" && !this.#isBusy(request.socket),
      },
      (request, response) => this.#take(request, response),
    );
    const server = this.#server;
    // Otherwise Node leaves some out without a word. Their size is bounded.
    server.maxHeadersCount = 0;
    server.on("checkContinue", (request, response) => this.#take(request, response));
    server.on("checkExpectation", (request, response) => this.#take(request, response));
    server.on("upgrade", (request: IncomingMessage, socket: Socket, first: Buffer) => {
      if (first.length > 0) socket.unshift(first);
      this.#take(request, answerOn(request, socket), upgradeOf(request));
    });
    server.on("connect", (request: IncomingMessage, socket: Socket) => {
      if (this.#isBusy(socket)) this.#refuse(new Error("CONNECT was sent ahead of an answer"), socket);
      else this.#take(request, answerOn(request, socket));
    });
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => this.#refuse(error, socket));
  }

  /** Serves a connection. @param headMs time for the head of the first request */
  accept(socket: Socket, connection: Connection, headMs = this.#limits.headMs): void {
    const limit = limitHead(socket, headMs);
    this.#open.set(socket, {
      connection,
      requests: 0,
      turn: undefined,
      limit,
      last: undefined,
      problem: undefined,
    });
    socket.once("close", () => {
      clearTimeout(this.#open.get(socket)?.limit);
      this.#open.delete(socket);
    });
    this.#server.emit("connection", socket);
  }

  /** Ends connections without a request under way, and the others after their answers. */
  drain(): void {
    this.#isDraining = true;
    for (const [socket, { requests }] of this.#open) if (requests === 0) socket.destroy();
  }

  close(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }

  /** Whether requests are under way on a connection: Node lets one answer at a time have it. */
  #isBusy(socket: Duplex): boolean {
    return (this.#open.get(socket)?.requests ?? 0) > 0;
  }

  #take(request: IncomingMessage, response: ServerResponse, upgrade = ""): void {
    const { socket } = request;
    const open = this.#open.get(socket);
    if (open === undefined || open.requests >= MAX_PIPELINED) {
      socket.destroy();
      return;
    }
    clearTimeout(open.limit);
    open.connection.identified();
    // Node has dropped what came with an offer that is passed over.
    if (this.#isDraining || (upgrade === "" && upgradeOf(request) !== "")) response.shouldKeepAlive = false;
    open.requests += 1;
    open.last = request;
    const before = open.requests > 1 ? open.turn : undefined;
    open.turn = this.#serve(
      new H1Exchange(request, response, open.connection, upgrade),
      socket,
      open,
      before,
    );
  }

  /** What comes after whole requests is refused after their answers. */
  #refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
    const open = this.#open.get(socket);
    if (error.code !== "ECONNRESET" && open && open.requests > 0 && open.last?.complete) {
      open.problem = error;
      socket.pause();
    } else refuse(error, socket);
  }

  /** Requests that came before the answer to another wait for it: one connection has one place in a queue. */
  async #serve(
    exchange: H1Exchange,
    socket: Duplex,
    open: Open,
    before: Promise<void> | undefined,
  ): Promise<void> {
    if (before !== undefined) await before;
    await this.#handle(exchange);
    open.requests -= 1;
    if (open.requests > 0 || exchange.upgrade !== "" || socket.destroyed) return;
    if (open.problem) {
      refuse(open.problem, socket);
      return;
    }
    // The answer may still be on its way.
    if (this.#isDraining) socket.end();
    else open.limit = limitHead(socket, this.#limits.keepAliveMs + this.#limits.headMs);
  }
}

function limitHead(socket: Duplex, ms: number): NodeJS.Timeout {
  return setTimeout(() => refuse(headTimeout(), socket), ms);
}

/** Returns the protocol that a request wants to change to. HTTP/2 begins otherwise here, and bodies stay requests. */
function upgradeOf({ headers, method }: IncomingMessage): string {
  const wanted = headers.upgrade ?? "";
  const hasBody = headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0";
  if (hasBody || method === "CONNECT" || !/^[\w./-]{1,64}$/.test(wanted)) return "";
  return /^h2c?$/i.test(wanted) ? "" : wanted;
}

function headTimeout(): NodeJS.ErrnoException {
  return Object.assign(new Error("no whole request in time"), { code: "ERR_HTTP_REQUEST_TIMEOUT" });
}

/** Answers what is no request. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  const isOpen = socket.writable && !socket.destroyed;
  // After a part of an answer, another would be taken for its rest.
  const isBusy = (socket as { _httpMessage?: { headersSent: boolean } | null })._httpMessage?.headersSent;
  if (error.code === "ECONNRESET" || !isOpen || isBusy) {
    socket.destroy();
    return;
  }
  const answer = errorOf(error);
  const body = errorBody(answer);
  const reason = { 400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large" };
  const lines = [
    `HTTP/1.1 ${answer.status} ${reason[answer.status as keyof typeof reason] ?? "Error"}`,
    "connection: close",
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    `x-windhover-error: ${answer.code}`,
  ];
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

function errorOf({ code = "" }: NodeJS.ErrnoException): ProxyError {
  if (code === "HPE_HEADER_OVERFLOW")
    return new ProxyError("TOO_LARGE", "the head of the request is too large", { status: 431 });
  if (code === "ERR_HTTP_REQUEST_TIMEOUT")
    return new ProxyError("CLIENT_TIMEOUT", "the head of the request did not come in time");
  return new ProxyError("BAD_REQUEST", `this is not a well-formed HTTP request (${code || "unknown"})`);
}
