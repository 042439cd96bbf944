import { type IncomingMessage, ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Duplex, Readable, Writable } from "node:stream";
import type { Connection } from "../../connection.ts";
import { breakOff } from "../../tcp/join.ts";
import type { AnswerHead, Exchange, FlatHeaders } from "../exchange.ts";
import { cleanTrailers } from "../headers/fields.ts";

/** What the client still sends of a body that nobody reads is taken for so long, so that it sees the answer. */
const LINGER_MS = 2_000;
/** What Node refuses to write in a status line, and reads in one. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be in it.
const UNPRINTABLE = /[\u0000-\u0008\u000a-\u001f\u007f]/;
/** Event of an answer whose connection goes to somebody else. */
const HANDED_OVER = Symbol("handed over");

/** A request by HTTP/1. */
export class H1Exchange implements Exchange {
  readonly version: "1.0" | "1.1";
  readonly method: string;
  readonly target: string;
  readonly authority = "";
  readonly headers: FlatHeaders;
  readonly body: Readable | undefined;
  readonly connection: Connection;
  readonly upgrade: string;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #left = new AbortController();
  #hasBegun = false;
  #isContinued = false;

  constructor(request: IncomingMessage, response: ServerResponse, connection: Connection, upgrade = "") {
    this.#request = request;
    this.#response = response;
    this.connection = connection;
    this.upgrade = upgrade;
    this.version = request.httpVersionMinor === 0 ? "1.0" : "1.1";
    this.method = request.method ?? "";
    this.target = request.url ?? "";
    this.headers = request.rawHeaders;
    this.body = hasBody(request) ? request : undefined;
    // The answer tells that the client has left.
    request.on("error", () => {});
    response.on("error", () => {});
    response.once("close", () => {
      if (!response.writableFinished) this.#left.abort(new Error("the client has left"));
    });
    response.once("finish", () => this.#endRequest());
  }

  get left(): AbortSignal {
    return this.#left.signal;
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  requestTrailers(): FlatHeaders {
    return cleanTrailers(this.#request.rawTrailers);
  }

  inform(status: number, headers: FlatHeaders): void {
    // HTTP/1.0 does not know them.
    if (this.version === "1.0" || this.#hasBegun || this.#response.destroyed) return;
    if (status === 100) {
      if (this.#isContinued) return;
      this.#isContinued = true;
      // Node keeps the connection after this only.
      this.#response.writeContinue();
      return;
    }
    this.#response.socket?.write(headBytes({ status, statusText: "", headers }), "latin1");
  }

  begin({ status, statusText, headers }: AnswerHead, isEmpty: boolean): Writable {
    const response = this.#response;
    response.sendDate = false;
    const isPlain = statusText !== "" && !UNPRINTABLE.test(statusText);
    response.writeHead(status, isPlain ? statusText : (STATUS_CODES[status] ?? ""), [...headers]);
    this.#hasBegun = true;
    if (!isEmpty) setImmediate(() => flushHead(response));
    return response;
  }

  trail(headers: FlatHeaders): void {
    const trailers: [string, string][] = [];
    for (let at = 0; at + 1 < headers.length; at += 2)
      trailers.push([headers[at] ?? "", headers[at + 1] ?? ""]);
    if (trailers.length > 0) this.#response.addTrailers(trailers);
  }

  change(head: AnswerHead): Duplex {
    this.#hasBegun = true;
    const socket = this.#request.socket;
    this.#response.emit(HANDED_OVER);
    this.#response.detachSocket(socket);
    socket.write(headBytes(head), "latin1");
    return socket;
  }

  cut(): void {
    const { socket } = this.#request;
    // By HTTP/1.0 a connection that ends well says that the answer is complete.
    if (this.version === "1.0") breakOff(socket);
    else socket.destroy();
  }

  /** A client that goes on sending would hold the connection. */
  #endRequest(): void {
    const { socket } = this.#request;
    if (this.#request.complete || this.#request.readableEnded) return;
    this.#request.resume();
    const limit = setTimeout(() => socket.destroySoon(), LINGER_MS);
    this.#request.once("end", () => clearTimeout(limit));
    socket.once("close", () => clearTimeout(limit));
  }
}

/** Makes an answer for a request whose connection Node has handed over, because it asks for another protocol. */
export function answerOn(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  const onDrain = () => response.emit("drain");
  const onError = () => socket.destroy();
  // A client that leaves is noticed by reading only. What it sends meanwhile stays for the program.
  const onReadable = () => {
    if (socket.readableLength === 0) socket.read();
  };
  const onEnd = () => socket.destroy();
  socket.on("drain", onDrain).on("error", onError).on("readable", onReadable).on("end", onEnd);
  response.once(HANDED_OVER, () =>
    socket.off("drain", onDrain).off("readable", onReadable).off("end", onEnd),
  );
  response.once("finish", () => {
    response.detachSocket(socket);
    socket.off("end", onEnd).end();
  });
  return response;
}

/** Writes a status line and headers. Both come from a parser of HTTP, so they hold no line ends. */
function headBytes({ status, statusText, headers }: AnswerHead): string {
  const lines = [`HTTP/1.1 ${status} ${statusText || (STATUS_TEXT[status] ?? "")}`];
  for (let at = 0; at + 1 < headers.length; at += 2) lines.push(`${headers[at]}: ${headers[at + 1]}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  101: "Switching Protocols",
  102: "Processing",
  103: "Early Hints",
};

function flushHead(response: ServerResponse): void {
  if (!response.destroyed && !response.writableEnded) response.flushHeaders();
}

function hasBody({ headers }: IncomingMessage): boolean {
  if (headers["transfer-encoding"] !== undefined) return true;
  const length = headers["content-length"];
  return length !== undefined && length !== "0";
}
