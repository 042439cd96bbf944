import {
  type ExecEnd,
  ExecError,
  type ExecOutput,
  type ExecRequest,
  type ExecSession,
  type TerminalSize,
} from "../../../exec.ts";
import { execFailure } from "../../guest-protocol/exec-failure.ts";
import {
  creditMessage,
  type ExecMessage,
  endInputMessage,
  execSignalMessage,
  INPUT_WINDOW,
  inputMessage,
  killMessage,
  resizeMessage,
} from "../../guest-protocol/exec-messages.ts";

/** Output that the guest may send before its reader has taken any. */
export const OUTPUT_WINDOW = 128 * 1024;
/** Credit is given back in parts of this size, as a message costs more than its bytes. */
const CREDIT_STEP = OUTPUT_WINDOW / 4;
const INPUT_CHUNK = 16 * 1024;
/** With so many parts of output waiting, small ones are joined: a part takes memory besides its bytes. */
const MAX_SMALL_PARTS = 64;
const SMALL_PART_BYTES = 4 * 1024;

/** @param mayBeDropped whether it need not be sent to a guest that does not read */
export type SendToGuest = (message: Buffer, mayBeDropped?: boolean) => void;

/** The host's end of one command. A guest that breaks the protocol interrupts it. */
export class Session implements ExecSession {
  pid = 0;
  readonly started: Promise<void>;
  readonly ended: Promise<ExecEnd>;
  readonly output: AsyncIterable<ExecOutput>;
  readonly #id: bigint;
  readonly #request: ExecRequest | undefined;
  readonly #send: SendToGuest;
  readonly #onEnd: () => void;
  readonly #started = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<ExecEnd>();
  #waiting: ExecOutput[] = [];
  #waitingBytes = 0;
  #takenBytes = 0;
  #credit = OUTPUT_WINDOW;
  #inputRoom = INPUT_WINDOW;
  #inputChange: PromiseWithResolvers<void> | undefined;
  #arrival: PromiseWithResolvers<void> | undefined;
  #end: ExecEnd | undefined;
  #isKilled = false;
  #isInputEnded = false;

  /** @param onEnd called when the guest sends no more of it */
  constructor(id: bigint, request: ExecRequest | undefined, send: SendToGuest, onEnd: () => void) {
    this.#id = id;
    this.#request = request;
    this.#send = send;
    this.#onEnd = onEnd;
    this.started = this.#started.promise;
    this.ended = this.#ended.promise;
    this.output = this.#read();
    // Nobody may wait for it any more.
    this.started.catch(() => {});
  }

  async write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      while (this.#inputRoom === 0 && !this.#isOver) {
        this.#inputChange ??= Promise.withResolvers<void>();
        await this.#inputChange.promise;
      }
      if (this.#isOver || this.#isInputEnded) return;
      const part = bytes.subarray(at, at + Math.min(INPUT_CHUNK, this.#inputRoom));
      this.#inputRoom -= part.length;
      at += part.length;
      this.#send(inputMessage(this.#id, part));
    }
  }

  endInput(): void {
    if (this.#isInputEnded || this.#isOver) return;
    this.#isInputEnded = true;
    this.#send(endInputMessage(this.#id));
  }

  resize(size: TerminalSize): void {
    if (!this.#isOver) this.#send(resizeMessage(this.#id, size), true);
  }

  signal(signal: number): void {
    if (!this.#isOver) this.#send(execSignalMessage(this.#id, signal), true);
  }

  kill(): void {
    if (this.#isKilled) return;
    this.#isKilled = true;
    if (this.#end === undefined) this.#send(killMessage(this.#id));
    this.#drop();
  }

  received(message: ExecMessage): void {
    if (this.#end) return;
    switch (message.kind) {
      case "started":
        this.pid ||= message.pid;
        this.#started.resolve();
        break;
      case "output":
        this.#take(message);
        break;
      case "taken":
        this.#inputRoom = Math.min(this.#inputRoom + message.bytes, INPUT_WINDOW);
        this.#wakeWriter();
        break;
      case "failed":
        this.#started.reject(execFailure(message.failure, this.#request));
        this.#finish({ kind: "interrupted", detail: "the command could not be run" });
        break;
      case "interrupted":
        this.interrupt("the machine's process ended");
        break;
      case "exit":
        this.#finish({ kind: "exit", code: message.code });
        break;
      case "signal":
        this.#finish({ kind: "signal", signal: message.signal });
        break;
    }
  }

  interrupt(detail: string): void {
    this.#started.reject(new ExecError("not_running", detail));
    this.#finish({ kind: "interrupted", detail });
  }

  get #isOver(): boolean {
    return this.#end !== undefined || this.#isKilled;
  }

  #take({ stream, bytes }: ExecOutput): void {
    if (bytes.length > this.#credit) {
      this.kill();
      this.interrupt("the guest sent more than it may");
      return;
    }
    this.#credit -= bytes.length;
    if (this.#isKilled || bytes.length === 0) return;
    this.#queue({ stream, bytes });
    this.#waitingBytes += bytes.length;
    this.#arrival?.resolve();
  }

  /** Queues output. Joins it to the last of its stream when many small parts wait; the streams may change order then. */
  #queue(part: ExecOutput): void {
    const at = this.#waiting.findLastIndex(({ stream }) => stream === part.stream);
    const last = this.#waiting[at];
    const isMany = this.#waiting.length >= MAX_SMALL_PARTS;
    if (isMany && last && last.bytes.length + part.bytes.length <= SMALL_PART_BYTES)
      this.#waiting[at] = { stream: part.stream, bytes: Buffer.concat([last.bytes, part.bytes]) };
    else this.#waiting.push(part);
  }

  #finish(end: ExecEnd): void {
    if (this.#end) return;
    this.#end = end;
    this.#onEnd();
    // A command that ended before it was known to run did run.
    this.#started.resolve();
    this.#wakeWriter();
    this.#arrival?.resolve();
    if (this.#isKilled || this.#waitingBytes === 0) this.#ended.resolve(end);
  }

  /** Drops output that nobody reads. */
  #drop(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#wakeWriter();
    this.#arrival?.resolve();
    if (this.#end) this.#ended.resolve(this.#end);
  }

  #wakeWriter(): void {
    this.#inputChange?.resolve();
    this.#inputChange = undefined;
  }

  async *#read(): AsyncGenerator<ExecOutput> {
    try {
      for (;;) {
        const next = this.#waiting.shift();
        if (next) {
          this.#waitingBytes -= next.bytes.length;
          yield next;
          this.#grant(next.bytes.length);
          continue;
        }
        if (this.#end || this.#isKilled) break;
        this.#arrival = Promise.withResolvers<void>();
        await this.#arrival.promise;
      }
    } finally {
      // A reader that leaves early wants no more.
      if (this.#end === undefined || this.#waiting.length > 0) this.kill();
      if (this.#end) this.#ended.resolve(this.#end);
    }
  }

  #grant(bytes: number): void {
    this.#takenBytes += bytes;
    if (this.#takenBytes < CREDIT_STEP || this.#isOver) return;
    this.#credit += this.#takenBytes;
    this.#send(creditMessage(this.#id, this.#takenBytes));
    this.#takenBytes = 0;
  }
}
