import { Duplex } from "node:stream";
import type { Metadata, ServiceError } from "@grpc/grpc-js";

/** Messages that wait for their reader, as in grpc-js. */
const HIGH_WATER_MARK = 16;

/** What a handler sees of a call that came without gRPC. */
export interface LocalHead {
  readonly metadata: Metadata;
  readonly path: string;
  readonly peer: string;
  /** Milliseconds since the epoch; `Infinity` without one. */
  readonly deadlineMs: number;
}

interface Unread<Res> {
  readonly message: Res;
  /** Makes room for the next one. */
  readonly taken: () => void;
}

/** A streaming call as its handler sees it; {@link messages} reads what the handler writes. */
export class LocalStream<Req, Res> extends Duplex {
  readonly metadata: Metadata;
  readonly request: Req | undefined;
  cancelled = false;
  readonly #head: LocalHead;
  readonly #unread: Unread<Res>[] = [];
  #isEnded = false;
  #failure: ServiceError | undefined;
  #wake: (() => void) | undefined;
  #wantsRequest: (() => void) | undefined;

  /** @param request of a call with one request */
  constructor(head: LocalHead, request?: Req) {
    super({ objectMode: true, highWaterMark: HIGH_WATER_MARK });
    this.#head = head;
    this.metadata = head.metadata;
    this.request = request;
    this.on("error", (err: ServiceError) => {
      this.#failure ??= err;
      this.#wake?.();
    });
  }

  getPath(): string {
    return this.#head.path;
  }

  getPeer(): string {
    return this.#head.peer;
  }

  getDeadline(): number {
    return this.#head.deadlineMs;
  }

  sendMetadata(): void {}

  /** Hands requests over as fast as the handler reads them, and then their end. */
  async feed(requests: AsyncIterable<Req>): Promise<void> {
    for await (const request of requests) {
      if (this.destroyed) return;
      if (!this.push(request))
        await new Promise<void>((resolve) => {
          this.#wantsRequest = resolve;
        });
    }
    if (!this.destroyed) this.push(null);
  }

  /** Tells the handler that its caller has gone, or has waited long enough. */
  cancel(): void {
    if (this.cancelled || this.#isEnded || this.#failure) return;
    this.cancelled = true;
    this.emit("cancelled", "cancelled");
    this.destroy();
    this.#wantsRequest?.();
    this.#wake?.();
  }

  /** Yields what the handler writes. @throws ServiceError the handler's; nothing when the call was cancelled */
  async *messages(): AsyncGenerator<Res> {
    for (;;) {
      const next = this.#unread.shift();
      if (next) {
        next.taken();
        yield next.message;
        continue;
      }
      if (this.#failure) throw this.#failure;
      if (this.#isEnded || this.cancelled) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  override _write(message: Res, _encoding: BufferEncoding, callback: () => void): void {
    this.#unread.push({ message, taken: callback });
    this.#wake?.();
  }

  override _final(callback: () => void): void {
    this.#isEnded = true;
    this.#wake?.();
    callback();
  }

  override _read(): void {
    this.#wantsRequest?.();
    this.#wantsRequest = undefined;
  }
}
