import { Duplex } from "node:stream";
import {
  API_WINDOW,
  type ApiMessage,
  apiCloseMessage,
  apiCreditMessage,
  apiDataMessage,
  apiEndMessage,
  MAX_API_CONNECTIONS,
} from "../guest-protocol/api-messages.ts";

/** Credit is given back in parts of this size, as a message costs more than its bytes. */
const CREDIT_STEP = API_WINDOW / 4;
const CHUNK = 8 * 1024;

/** The connections that processes of one guest have opened to the API inside the machine. */
export class ApiConnections {
  /** Called with each new connection. Without anybody who takes it, it is closed. */
  onOpen: (connection: Duplex) => void = (connection) => connection.destroy();
  readonly #send: (message: Buffer) => boolean;
  readonly #connections = new Map<bigint, ApiConnection>();

  /** @param send returns false when the guest does not read: its connections are closed then */
  constructor(send: (message: Buffer) => boolean) {
    this.#send = send;
  }

  get size(): number {
    return this.#connections.size;
  }

  received(message: ApiMessage): void {
    const known = this.#connections.get(message.id);
    if (message.kind === "closed") this.#connections.delete(message.id);
    if (message.kind !== "open") {
      known?.received(message);
      return;
    }
    // A guest that breaks the protocol gets no answer, which would be work for each of its messages.
    if (known || this.#connections.size >= MAX_API_CONNECTIONS) return;
    const connection = new ApiConnection(message.id, (sent) => this.#trySend(sent));
    this.#connections.set(message.id, connection);
    this.onOpen(connection);
  }

  /** Ends all: the channel is closed, or the VM has another owner. */
  close(): void {
    for (const connection of this.#connections.values()) connection.over();
    this.#connections.clear();
  }

  #trySend(message: Buffer): void {
    if (!this.#send(message)) this.close();
  }
}

/** The host's end of one connection. */
class ApiConnection extends Duplex {
  readonly #id: bigint;
  readonly #send: (message: Buffer) => void;
  /** Bytes that the guest may send. */
  #granted = API_WINDOW;
  #taken = 0;
  #room = API_WINDOW;
  #pending: { rest: Buffer; readonly done: () => void } | undefined;
  #isOver = false;

  constructor(id: bigint, send: (message: Buffer) => void) {
    super({ allowHalfOpen: true, readableHighWaterMark: API_WINDOW, writableHighWaterMark: CHUNK });
    this.#id = id;
    this.#send = send;
    // "close" follows.
    this.on("error", () => {});
  }

  received(message: ApiMessage): void {
    if (message.kind === "taken") {
      this.#room = Math.min(this.#room + message.bytes, API_WINDOW);
      this.#flush();
    } else if (message.kind === "input") {
      this.#take(message.bytes, message.isEnd);
    } else if (message.kind === "closed") {
      this.over();
    }
  }

  /** Notes that the guest knows no more of it. */
  over(): void {
    this.#isOver = true;
    this.destroy();
  }

  override _read(): void {
    if (this.#taken < CREDIT_STEP || this.#isOver || this.destroyed) return;
    this.#granted += this.#taken;
    this.#send(apiCreditMessage(this.#id, this.#taken));
    this.#taken = 0;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#pending = { rest: chunk, done };
    this.#flush();
  }

  override _final(done: () => void): void {
    if (!this.#isOver) this.#send(apiEndMessage(this.#id));
    done();
  }

  override _destroy(err: Error | null, done: (err: Error | null) => void): void {
    if (!this.#isOver) this.#send(apiCloseMessage(this.#id));
    this.#isOver = true;
    this.#pending = undefined;
    done(err);
  }

  #take(bytes: Buffer, isEnd: boolean): void {
    if (this.destroyed) return;
    if (bytes.length > this.#granted) {
      this.destroy(new Error("the guest sent more than it may"));
      return;
    }
    this.#granted -= bytes.length;
    this.#taken += bytes.length;
    // Not a part of the frame, which may be part of something larger.
    if (bytes.length > 0 && this.push(Buffer.from(bytes))) this._read();
    if (isEnd) this.push(null);
  }

  #flush(): void {
    const pending = this.#pending;
    if (!pending) return;
    while (pending.rest.length > 0 && this.#room > 0 && !this.#isOver) {
      const part = pending.rest.subarray(0, Math.min(CHUNK, this.#room));
      pending.rest = pending.rest.subarray(part.length);
      this.#room -= part.length;
      this.#send(apiDataMessage(this.#id, part));
    }
    if (pending.rest.length > 0 || this.#isOver) return;
    this.#pending = undefined;
    pending.done();
  }
}
