import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { describeError, logger } from "../../../../lib/runtime/log.ts";
import { endsWithin } from "../../../../lib/runtime/wait.ts";
import type { Agent } from "./agent.ts";
import type { GuestLine } from "./protocol.ts";

/** Reading pauses when so much waits for a slow sink. A guest without an ACK sends less. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** Estimated size of a line besides its text. */
const LINE_OVERHEAD_BYTES = 64;

/**
 * Delivers a guest's lines one after the other, each once. It stores the number of the last one in
 * a file, so that a hostd that was killed continues behind it.
 */
export class LogPump {
  readonly #deliver: (line: GuestLine) => Promise<void> | void;
  readonly #source: Pick<Agent, "ack" | "setPaused">;
  readonly #fd: number;
  readonly #waiting: GuestLine[] = [];
  #bytes = 0;
  #lastReceived: number;
  #lastDelivered: number;
  #work: Promise<void> | undefined;
  #isClosed = false;
  #hasFailed = false;
  #awaited: { readonly number: number; readonly resolve: () => void } | undefined;

  constructor(
    file: string,
    deliver: (line: GuestLine) => Promise<void> | void,
    source: Pick<Agent, "ack" | "setPaused">,
  ) {
    this.#deliver = deliver;
    this.#source = source;
    this.#lastDelivered = this.#lastReceived = readCursor(file);
    // No flag by name creates a file if needed, keeps its content, and writes at any position.
    this.#fd = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600);
  }

  get lastDelivered(): number {
    return this.#lastDelivered;
  }

  /** Queues lines; those it has seen are dropped. */
  push(lines: readonly GuestLine[]): void {
    for (const line of lines) {
      if (line.number <= this.#lastReceived || this.#isClosed) continue;
      this.#lastReceived = line.number;
      this.#waiting.push(line);
      this.#bytes += line.text.length + LINE_OVERHEAD_BYTES;
    }
    if (this.#bytes > MAX_WAITING_BYTES) this.#source.setPaused(true);
    if (this.#waiting.length > 0) this.#work ??= this.#run();
    if (this.#awaited && this.#lastReceived >= this.#awaited.number) this.#awaited.resolve();
  }

  /** Waits at most `timeoutMs` for a line, then until all received lines are delivered. */
  async drainedUpTo(number: number, timeoutMs: number): Promise<void> {
    if (this.#lastReceived < number) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#awaited = { number, resolve };
      await endsWithin(timeoutMs, promise);
    }
    await this.drained();
  }

  /** Waits until all received lines are delivered. */
  async drained(): Promise<void> {
    while (this.#work !== undefined) await this.#work;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#waiting.length = 0;
    closeSync(this.#fd);
  }

  async #run(): Promise<void> {
    for (let line = this.#waiting.shift(); line && !this.#isClosed; line = this.#waiting.shift()) {
      await this.#tryDeliver(line);
      if (this.#isClosed) break;
      this.#lastDelivered = line.number;
      writeCursor(this.#fd, line.number);
      this.#bytes -= line.text.length + LINE_OVERHEAD_BYTES;
      if (this.#bytes <= MAX_WAITING_BYTES / 2) this.#source.setPaused(false);
    }
    this.#work = undefined;
    if (!this.#isClosed) this.#source.ack(this.#lastDelivered);
  }

  /** Drops a line that its sink does not take, so that the machine goes on. */
  async #tryDeliver(line: GuestLine): Promise<void> {
    try {
      await this.#deliver(line);
    } catch (err) {
      if (!this.#hasFailed) logger.error("log sink failed, lines are dropped", { error: describeError(err) });
      this.#hasFailed = true;
    }
  }
}

export function readCursor(file: string): number {
  try {
    const bytes = readFileSync(file);
    return bytes.length === 8 ? Number(bytes.readBigUInt64LE()) : 0;
  } catch {
    return 0;
  }
}

function writeCursor(fd: number, number: number): void {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64LE(BigInt(number));
  writeSync(fd, bytes, 0, 8, 0);
}
