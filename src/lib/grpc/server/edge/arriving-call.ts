import { constants, type ServerHttp2Stream } from "node:http2";
import type { Claims } from "../../../auth/claims.ts";
import type { Fault } from "../../../faults/fault.ts";
import { requestTooLarge, tooMuchUnfinished } from "./faults.ts";
import type { EdgeLimits } from "./limits.ts";

/** A stream that is answered, or refused, and whose caller does not end it, is closed after this time. */
const LINGER_MS = 1_000;

/** Bytes of unfinished requests, by organisation. */
export type UnfinishedBytes = Map<string, number>;

/** A call from the arrival of its headers to the close of its stream, with what bounds it. */
export class ArrivingCall {
  readonly path: string;
  readonly #stream: ServerHttp2Stream;
  readonly #limits: EdgeLimits;
  readonly #unfinished: UnfinishedBytes;
  #maxBytes: number;
  /** Whose unfinished bytes these are; undefined: nobody's. */
  #org: string | undefined;
  #bytes = 0;
  #isFollowed = false;
  #isCounted = false;
  readonly #onClosed: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #refuse: ((fault: Fault) => void) | undefined;
  #refusal: Fault | undefined;

  /** @param isOpen whether the method takes calls without a token */
  constructor(
    stream: ServerHttp2Stream,
    path: string,
    isOpen: boolean,
    limits: EdgeLimits,
    unfinished: UnfinishedBytes,
  ) {
    this.path = path;
    this.#stream = stream;
    this.#limits = limits;
    this.#unfinished = unfinished;
    // Others are not read before their token is verified.
    this.#maxBytes = isOpen ? limits.open.messageBytes : Number.POSITIVE_INFINITY;
  }

  /** Why it is refused; undefined while it is not. */
  get refusal(): Fault | undefined {
    return this.#refusal;
  }

  /** Whether somebody will answer it. */
  get isTaken(): boolean {
    return this.#refuse !== undefined;
  }

  /** Sets what answers the caller when the call is refused. */
  onRefused(refuse: (fault: Fault) => void): void {
    this.#refuse = refuse;
  }

  /** Refuses the call, at once or as soon as somebody can answer. */
  refuse(fault: Fault): void {
    if (this.#refusal) return;
    this.#refusal = fault;
    this.#refuse?.(fault);
    this.#closeAfter(LINGER_MS, constants.NGHTTP2_CANCEL);
  }

  /** Refuses the call when it lasts longer. */
  endAfter(timeoutMs: number, fault: () => Fault): void {
    this.#timer = setTimeout(() => this.refuse(fault()), timeoutMs).unref();
  }

  /** Notes whose call it is; `release` is called when its stream has closed. */
  identified(claims: Claims, release: (() => void) | undefined): void {
    clearTimeout(this.#timer);
    if (release) this.onClosed(release);
    if (claims.scopes.includes("internal")) {
      this.#maxBytes = Number.POSITIVE_INFINITY;
      return;
    }
    this.#maxBytes = this.#limits.requestBytes;
    this.#org = claims.org;
    this.#charge(this.#bytes);
    if (this.#isFollowed) this.#count();
  }

  /** Adds what is called when the stream has closed. */
  onClosed(callback: () => void): void {
    this.#onClosed.push(callback);
  }

  /** Counts what arrives, and closes a stream that its caller leaves open. Called when grpc-js listens to the stream. */
  follow(): void {
    const stream = this.#stream;
    this.#isFollowed = true;
    if (this.#maxBytes !== Number.POSITIVE_INFINITY || !this.isTaken) this.#count();
    stream.once("finish", () => {
      if (!stream.readableEnded) this.#closeAfter(LINGER_MS, constants.NGHTTP2_NO_ERROR);
    });
    const closed = () => {
      clearTimeout(this.#timer);
      this.#finished();
      for (const callback of this.#onClosed) callback();
    };
    if (stream.closed && stream.destroyed) closed();
    else stream.once("close", closed);
  }

  #count(): void {
    if (this.#isCounted) return;
    this.#isCounted = true;
    this.#stream.on("data", (chunk: Buffer) => this.#received(chunk.length));
    this.#stream.once("end", () => this.#finished());
  }

  #received(bytes: number): void {
    if (this.#maxBytes === Number.POSITIVE_INFINITY || this.#refusal) return;
    this.#bytes += bytes;
    this.#charge(bytes);
    if (this.#bytes > this.#maxBytes + PREFIX_BYTES) {
      this.refuse(requestTooLarge(this.#maxBytes));
    } else if (this.#org !== undefined) {
      const { unfinishedBytes } = this.#limits;
      if ((this.#unfinished.get(this.#org) ?? 0) > unfinishedBytes)
        this.refuse(tooMuchUnfinished(this.#org, unfinishedBytes));
    }
    if (this.#refusal) this.#finished();
  }

  #charge(bytes: number): void {
    if (this.#org === undefined || bytes === 0) return;
    this.#unfinished.set(this.#org, (this.#unfinished.get(this.#org) ?? 0) + bytes);
  }

  #finished(): void {
    if (this.#org === undefined) return;
    const rest = (this.#unfinished.get(this.#org) ?? 0) - this.#bytes;
    if (rest > 0) this.#unfinished.set(this.#org, rest);
    else this.#unfinished.delete(this.#org);
    this.#org = undefined;
  }

  #closeAfter(ms: number, code: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.#stream.closed) this.#stream.close(code);
    }, ms).unref();
  }
}

/** In front of each message: its compression and length. */
const PREFIX_BYTES = 5;
