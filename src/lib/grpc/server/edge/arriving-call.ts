import { constants, type ServerHttp2Stream } from "node:http2";
import type { Claims } from "../../../auth/claims.ts";
import { Fault } from "../../../faults/fault.ts";
import { MAX_MESSAGE_BYTES } from "../../options.ts";
import { toServiceError } from "../../status.ts";
import { decompressed, type Encoding, PREFIX_BYTES, replaceDecompression } from "./compression.ts";
import { requestTooLarge, tooMuchUnfinished } from "./faults.ts";
import type { EdgeLimits } from "./limits.ts";

/** A stream that is answered, or refused, and whose caller does not end it, is closed after this time. */
const LINGER_MS = 1_000;

/** Bytes of unfinished requests, by organisation. */
export type UnfinishedBytes = Map<string, number>;

/** What a call's headers say. */
export interface CallHeaders {
  readonly path: string;
  /** Whether the method takes calls without a token. */
  readonly isOpen: boolean;
  /** Of its messages, if they are compressed. */
  readonly encoding: Encoding | undefined;
}

/** A call from the arrival of its headers to the close of its stream, with what bounds it. */
export class ArrivingCall {
  readonly path: string;
  readonly #stream: ServerHttp2Stream;
  readonly #limits: EdgeLimits;
  readonly #unfinished: UnfinishedBytes;
  readonly #encoding: Encoding | undefined;
  #maxBytes: number;
  /** Whose unfinished bytes these are; undefined: nobody's. */
  #org: string | undefined;
  #bytes = 0;
  /** Bytes that were compressed. */
  #unpackedBytes = 0;
  #isFollowed = false;
  #isCounted = false;
  readonly #onClosed: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #refuse: ((fault: Fault) => void) | undefined;
  #refusal: Fault | undefined;

  constructor(
    stream: ServerHttp2Stream,
    { path, isOpen, encoding }: CallHeaders,
    limits: EdgeLimits,
    unfinished: UnfinishedBytes,
  ) {
    this.path = path;
    this.#encoding = encoding;
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

  /** Has the call's messages decompressed within what its request may have. @param call of grpc-js */
  boundDecompression(call: object): void {
    const encoding = this.#encoding;
    if (encoding) replaceDecompression(call, (message) => this.#decompress(message, encoding));
  }

  get isClosed(): boolean {
    return this.#stream.closed;
  }

  /** Bytes of its answer that the caller has not taken. */
  get unreadBytes(): number {
    return this.#stream.writableLength;
  }

  /** Ends the call although its answer is not read. The caller sees RESOURCE_EXHAUSTED. */
  breakOff(): void {
    if (!this.#stream.closed) this.#stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
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

  get #size(): number {
    return this.#bytes + this.#unpackedBytes;
  }

  #count(): void {
    if (this.#isCounted) return;
    this.#isCounted = true;
    this.#stream.on("data", (chunk: Buffer) => this.#received(chunk.length));
    this.#stream.once("end", () => {
      // Larger ones wait for their turn in memory, and are refused then.
      if (this.#size <= this.#limits.smallBytes) this.#finished();
    });
  }

  #received(bytes: number): void {
    if (this.#maxBytes === Number.POSITIVE_INFINITY || this.#refusal) return;
    this.#bytes += bytes;
    this.#charge(bytes);
    if (this.#bytes > this.#maxBytes + PREFIX_BYTES) {
      this.refuse(requestTooLarge(this.#maxBytes));
    } else {
      this.#checkUnfinished();
    }
    if (this.#refusal) this.#finished();
  }

  #checkUnfinished(): void {
    const { unfinishedBytes } = this.#limits;
    if (this.#org !== undefined && (this.#unfinished.get(this.#org) ?? 0) > unfinishedBytes)
      this.refuse(tooMuchUnfinished(this.#org, unfinishedBytes));
  }

  /** @throws ServiceError */
  #decompress(message: Buffer, encoding: Encoding): Buffer {
    if (this.#refusal) throw toServiceError(this.#refusal);
    const isBounded = this.#maxBytes !== Number.POSITIVE_INFINITY;
    const maxBytes = isBounded ? this.#maxBytes : MAX_MESSAGE_BYTES;
    const unpacked = unpack(message, encoding, isBounded ? maxBytes - this.#unpackedBytes : maxBytes);
    if (!unpacked) {
      const fault = requestTooLarge(maxBytes);
      this.refuse(fault);
      throw toServiceError(fault);
    }
    this.#unpackedBytes += unpacked.length;
    this.#charge(unpacked.length);
    this.#checkUnfinished();
    if (this.#refusal) this.#finished();
    return unpacked;
  }

  #charge(bytes: number): void {
    if (this.#org === undefined || bytes === 0) return;
    this.#unfinished.set(this.#org, (this.#unfinished.get(this.#org) ?? 0) + bytes);
  }

  #finished(): void {
    if (this.#org === undefined) return;
    const rest = (this.#unfinished.get(this.#org) ?? 0) - this.#size;
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

/** @throws ServiceError */
function unpack(message: Buffer, encoding: Encoding, maxBytes: number): Buffer | undefined {
  try {
    return decompressed(message, encoding, maxBytes);
  } catch (cause) {
    const text = `a message is not compressed by ${encoding}`;
    throw toServiceError(new Fault("INTERNAL", "MESSAGE_NOT_COMPRESSED", text, { encoding }, { cause }));
  }
}
