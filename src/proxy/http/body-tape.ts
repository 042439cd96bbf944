import type { Readable, Writable } from "node:stream";

/** Part of the memory for bodies that one organisation may have. */
const ORG_SHARE = 0.25;

/** Memory that bodies of requests may be kept in, over all requests. */
export class TapeBudget {
  readonly #perOrg: number;
  readonly #byOrg = new Map<string, number>();
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
    this.#perOrg = bytes * ORG_SHARE;
  }

  hasRoom(org: string, bytes: number): boolean {
    return bytes <= this.#left && (this.#byOrg.get(org) ?? 0) + bytes <= this.#perOrg;
  }

  take(org: string, bytes: number): boolean {
    if (!this.hasRoom(org, bytes)) return false;
    this.#left -= bytes;
    this.#byOrg.set(org, (this.#byOrg.get(org) ?? 0) + bytes);
    return true;
  }

  giveBack(org: string, bytes: number): void {
    if (bytes === 0) return;
    const ofOrg = (this.#byOrg.get(org) ?? 0) - bytes;
    if (ofOrg > 0) this.#byOrg.set(org, ofOrg);
    else this.#byOrg.delete(org);
    this.#left += bytes;
  }

  get left(): number {
    return this.#left;
  }
}

/** What hears of a body that passes. */
export interface TapeListener {
  /** Bytes have come from the client. */
  passed(): void;
  /** The body is larger than the limit. */
  tooLarge(): void;
  /** Whose memory it is kept in. Does not change once the body is read. */
  org(): string;
}

/** Bounds of a {@link BodyTape}, in bytes. */
export interface TapeLimits {
  /** What is kept for another attempt. */
  readonly keep: number;
  /** Of the whole body. */
  readonly body: number;
}

/** Node reads as much of a connection at once. */
const CHUNK_BYTES = 64 * 1024;
/** Most of a body that is kept, so that it can be sent again. */
export const KEEP_BYTES = 1024 * 1024;

/**
 * The body of a request on its way to a machine. It is kept while it streams, up to a bound, so that
 * another machine can get it from its beginning.
 */
export class BodyTape {
  readonly #source: Readable | undefined;
  readonly #budget: TapeBudget;
  readonly #limits: TapeLimits;
  readonly #listener: TapeListener;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #isKeeping = true;
  #isStarted = false;
  #isEnded: boolean;
  #bytes = 0;
  #sink: Writable | undefined;
  #finish: ((sink: Writable) => void) | undefined;

  constructor(source: Readable | undefined, budget: TapeBudget, limits: TapeLimits, listener: TapeListener) {
    this.#source = source;
    this.#budget = budget;
    this.#limits = limits;
    this.#listener = listener;
    this.#isEnded = source === undefined;
  }

  /** Bytes that have come from the client. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether all of it has come. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Whether the machine is slower than the client. */
  get isBlocked(): boolean {
    return this.#sink?.writableNeedDrain ?? false;
  }

  /** Whether it can be sent from its beginning. */
  get isReplayable(): boolean {
    return this.#isKeeping;
  }

  /**
   * Sends the body to `sink`, from its beginning, and then as it comes.
   *
   * @param finish ends the sink, once all is written
   */
  play(sink: Writable, finish: (sink: Writable) => void): void {
    if (!this.#isKeeping) throw new Error("the beginning of the body is not kept");
    this.stop();
    this.#sink = sink;
    this.#finish = finish;
    for (const chunk of this.#kept) sink.write(chunk);
    if (this.#source === undefined || this.#isEnded) {
      finish(sink);
      return;
    }
    sink.on("drain", this.#resume);
    if (!this.#isStarted) this.#start(this.#source);
    if (sink.writableNeedDrain) this.#source.pause();
    else this.#source.resume();
  }

  /**
   * Reads what comes before there is a machine for it, as much as is kept for another attempt: what
   * is not read hides that the client has left.
   */
  readAhead(): void {
    const needed = Math.min(CHUNK_BYTES, this.#limits.keep);
    if (!this.#source || this.#isStarted || !this.#budget.hasRoom(this.#listener.org(), needed)) return;
    this.#start(this.#source);
  }

  /** Sends no more of it. What comes stays with the client. */
  stop(): void {
    this.#sink?.off("drain", this.#resume);
    this.#sink = undefined;
    if (this.#isStarted && !this.#isEnded) this.#source?.pause();
  }

  /** Forgets what is kept, and keeps no more. */
  stopKeeping(): void {
    if (!this.#isKeeping) return;
    this.#isKeeping = false;
    this.#budget.giveBack(this.#listener.org(), this.#keptBytes);
    this.#kept = [];
    this.#keptBytes = 0;
  }

  readonly #resume = () => {
    this.#source?.resume();
  };

  #start(source: Readable): void {
    this.#isStarted = true;
    source.on("data", (chunk: Buffer) => this.#take(source, chunk));
    source.on("end", () => {
      this.#isEnded = true;
      this.#listener.passed();
      if (this.#sink) this.#finish?.(this.#sink);
    });
  }

  #take(source: Readable, chunk: Buffer): void {
    this.#bytes += chunk.length;
    this.#listener.passed();
    if (this.#bytes > this.#limits.body) {
      source.pause();
      this.#listener.tooLarge();
      return;
    }
    const isKept = this.#keep(chunk);
    if (this.#sink) {
      if (!isKept) this.stopKeeping();
      if (!this.#sink.write(chunk)) source.pause();
    } else if (!isKept) {
      // Nobody else has this last chunk: it is kept beside the budget.
      this.#kept.push(chunk);
      source.pause();
    }
  }

  #keep(chunk: Buffer): boolean {
    if (!this.#isKeeping) return false;
    const isSmall = this.#keptBytes + chunk.length <= this.#limits.keep;
    if (!isSmall || !this.#budget.take(this.#listener.org(), chunk.length)) return false;
    this.#kept.push(chunk);
    this.#keptBytes += chunk.length;
    return true;
  }
}
