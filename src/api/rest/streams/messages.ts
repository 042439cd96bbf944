import type { RawData, WebSocket } from "ws";
import { onAbort } from "../../../lib/runtime/abort.ts";
import { sleep } from "../../../lib/runtime/wait.ts";

/** Messages of a client that wait, beyond which the socket is not read. */
const MAX_WAITING = 16;
/**
 * Messages that wait, beyond which the connection ends: what has been read of the socket may hold thousands of
 * small ones. Of binary messages, small ones in a row are kept as one.
 */
const MAX_QUEUED = 1_024;
const MAX_JOINED_BYTES = 64 * 1_024;
/** Close code of a client that sends faster than its messages can be obeyed. */
const TOO_MANY = 1_008;
/** Between pings. A client that does not answer one until the next has gone. */
const PING_MS = 30_000;

/** Binary messages that came one after the other. */
interface Joined {
  readonly parts: Buffer[];
  bytes: number;
}

/** The messages of a WebSocket, each way no faster than its reader. */
export class Messages {
  readonly #socket: WebSocket;
  readonly #waiting: (string | Joined)[] = [];
  /** The first one says what to run, and is kept apart from what follows. */
  #hasFirst = false;
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
    if (this.#isFewer(MAX_WAITING / 2)) this.#socket.resume();
    return typeof message === "object" ? Buffer.concat(message.parts) : message;
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
    if (this.#closed.signal.aborted) return;
    const last = this.#waiting.at(-1);
    if (!isBinary || !this.#hasFirst) this.#waiting.push(bytes.toString());
    else if (typeof last !== "object" || last.bytes + bytes.length > MAX_JOINED_BYTES)
      this.#waiting.push({ parts: [bytes], bytes: bytes.length });
    else if (bytes.length > 0) {
      last.parts.push(bytes);
      last.bytes += bytes.length;
    }
    this.#hasFirst = true;
    if (this.#waiting.length > MAX_QUEUED) {
      this.#socket.close(TOO_MANY, `at most ${MAX_QUEUED} messages may wait`);
      this.#waiting.length = 0;
      this.end();
    } else if (!this.#isFewer(MAX_WAITING)) this.#socket.pause();
    this.#wake?.();
  }

  /** Whether fewer messages wait, also those that were joined. */
  #isFewer(count: number): boolean {
    const waiting = this.#waiting.slice(0, count);
    return waiting.reduce((sum, each) => sum + (typeof each === "object" ? each.parts.length : 1), 0) < count;
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
