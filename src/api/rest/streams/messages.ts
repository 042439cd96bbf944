import type { RawData, WebSocket } from "ws";
import { onAbort } from "../../../lib/runtime/abort.ts";
import { sleep } from "../../../lib/runtime/wait.ts";

/** Queued messages of a client, beyond which the socket is not read. */
const MAX_WAITING = 16;
/** Between pings. A client that does not answer one until the next has gone. */
const PING_MS = 30_000;

/** The messages of a WebSocket, each way no faster than its reader. */
export class Messages {
  readonly #socket: WebSocket;
  readonly #waiting: (string | Buffer)[] = [];
  readonly #closed = new AbortController();
  readonly #ping: NodeJS.Timeout;
  #isAlive = true;
  #wake: (() => void) | undefined;

  /** Must be called at once: earlier messages are lost. */
  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data, isBinary) => this.#received(data, isBinary));
    socket.on("pong", () => {
      this.#isAlive = true;
    });
    socket.on("error", () => this.end());
    socket.on("close", () => this.end());
    this.#ping = setInterval(() => this.#check(), PING_MS).unref();
  }

  /** Returns the next message: text, or bytes. Undefined when there are no more, or none in time. */
  async next(timeoutMs?: number): Promise<string | Buffer | undefined> {
    if (this.#waiting.length === 0 && !this.#closed.signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      using _closed = onAbort(this.#closed.signal, resolve);
      await (timeoutMs === undefined
        ? promise
        : Promise.race([promise, sleep(timeoutMs, this.#closed.signal)]));
    }
    const message = this.#waiting.shift();
    if (this.#waiting.length < MAX_WAITING / 2) this.#socket.resume();
    return message;
  }

  /** Sends a message and waits until it is on its way. Returns whether the client is still there. */
  send(message: string | Buffer): Promise<boolean> {
    if (this.#socket.readyState !== this.#socket.OPEN) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#socket.send(message, (err) => resolve(err === undefined || err === null));
    });
  }

  /** Stops waiting for messages. */
  end(): void {
    clearInterval(this.#ping);
    this.#closed.abort();
  }

  #received(data: RawData, isBinary: boolean): void {
    const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
    this.#waiting.push(isBinary ? bytes : bytes.toString());
    if (this.#waiting.length >= MAX_WAITING) this.#socket.pause();
    this.#wake?.();
  }

  #check(): void {
    if (!this.#isAlive) {
      this.#socket.terminate();
      return;
    }
    this.#isAlive = false;
    this.#socket.ping();
  }
}
