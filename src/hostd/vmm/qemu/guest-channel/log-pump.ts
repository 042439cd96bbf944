import { describeError, logger } from "../../../../lib/runtime/log.ts";
import type { OutputReceipt } from "../../output.ts";
import type { Agent } from "./agent.ts";

/** Reading pauses when so much waits for a slow sink. A guest without an ACK sends less. */
const MAX_WAITING_BYTES = 512 * 1024;
/** Estimated size of a frame besides its bytes. */
const FRAME_OVERHEAD_BYTES = 128;
/** Most that is delivered at once, so that guests take turns; one frame may be longer. */
const MAX_BATCH_BYTES = 64 * 1024;
const END = Buffer.of(0);

/** What the pump needs of the agent. */
type Source = Pick<Agent, "ack" | "setPaused" | "charge">;

/** Delivers some frames, each with its final zero. */
type Deliver = (frames: Uint8Array<ArrayBuffer>, afterNumber: number) => Promise<OutputReceipt>;

/**
 * Delivers a guest's frames of lines, still encoded, one batch after the other. The guest forgets
 * lines once they are delivered.
 */
export class LogPump {
  readonly #deliver: Deliver;
  readonly #source: Source;
  #waiting: Buffer[] = [];
  #bytes = 0;
  #lastDelivered: number;
  #work: Promise<void> | undefined;
  #arrival: PromiseWithResolvers<void> | undefined;
  #isClosed = false;
  #hasFailed = false;

  /** @param lastDelivered number of the last line that an earlier hostd delivered */
  constructor(lastDelivered: number, deliver: Deliver, source: Source) {
    this.#lastDelivered = lastDelivered;
    this.#deliver = deliver;
    this.#source = source;
  }

  get lastDelivered(): number {
    return this.#lastDelivered;
  }

  /** Queues an encoded frame of lines. */
  push(frame: Buffer): void {
    if (this.#isClosed) return;
    this.#waiting.push(frame, END);
    this.#bytes += frame.length + FRAME_OVERHEAD_BYTES;
    if (this.#bytes > MAX_WAITING_BYTES) this.#source.setPaused(true);
    this.#work ??= this.#run();
    this.#arrival?.resolve();
  }

  /** Delivers what it has, and waits for the line of a number: in all `timeoutMs` for frames. */
  async drainedUpTo(number: number, timeoutMs: number): Promise<void> {
    const { promise: isOver, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    let hasTime = true;
    void isOver.then(() => {
      hasTime = false;
    });
    const isMissing = () => this.#lastDelivered < number && hasTime && !this.#isClosed;
    await this.drained();
    while (isMissing()) {
      this.#arrival = Promise.withResolvers<void>();
      // Frames may have come during the last wait.
      if (this.#work === undefined) await Promise.race([isOver, this.#arrival.promise]);
      await this.drained();
    }
    clearTimeout(timer);
  }

  /** Waits until all frames that have come are delivered. */
  async drained(): Promise<void> {
    while (this.#work !== undefined) await this.#work;
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting = [];
    this.#arrival?.resolve();
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#isClosed) {
      const parts = this.#takeBatch();
      const frames = concat(parts);
      // Before the frames go to another thread, after which they are no longer here.
      const size = frames.length + (parts.length / 2) * (FRAME_OVERHEAD_BYTES - 1);
      const lines = await this.#tryDeliver(frames);
      if (this.#isClosed) break;
      this.#bytes -= size;
      this.#source.ack(this.#lastDelivered);
      this.#source.charge(lines);
      if (this.#bytes <= MAX_WAITING_BYTES / 2) this.#source.setPaused(false);
    }
    this.#work = undefined;
  }

  #takeBatch(): Buffer[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && bytes < MAX_BATCH_BYTES) {
      bytes += this.#waiting[count]?.length ?? 0;
      count += 2;
    }
    return this.#waiting.splice(0, count);
  }

  /** Drops lines that their sink does not take, so that the machine goes on. */
  async #tryDeliver(frames: Uint8Array<ArrayBuffer>): Promise<number> {
    try {
      const { lastNumber, lines } = await this.#deliver(frames, this.#lastDelivered);
      this.#lastDelivered = Math.max(this.#lastDelivered, lastNumber);
      return lines;
    } catch (err) {
      if (!this.#hasFailed) logger.error("log sink failed, lines are dropped", { error: describeError(err) });
      this.#hasFailed = true;
      return 0;
    }
  }
}

/** Concatenates buffers in one that is not part of Node's pool, and can be given to another thread. */
function concat(parts: readonly Buffer[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
