import { describeError, logger } from "../../../../lib/runtime/log.ts";
import type { OutputBatch, OutputReceipt, OutputSession } from "../../output.ts";
import type { VmSink } from "../../vmm.ts";
import { LogCursor } from "./log-cursor.ts";
import { decodeOutput, type GuestLine } from "./output.ts";

/** Decodes output in this thread, for a sink that takes lines one by one. */
export class InlineOutput implements OutputSession {
  readonly #sink: VmSink;
  readonly #cursorFile: string;
  /** Opened for the first line: a start waits for no file. */
  #cursor: LogCursor | undefined;
  #isClosed = false;
  #hasFailed = false;

  constructor(sink: VmSink, cursorFile: string) {
    this.#sink = sink;
    this.#cursorFile = cursorFile;
  }

  async store(batch: OutputBatch): Promise<OutputReceipt> {
    const { lines, nowUs } = decodeOutput(batch);
    for (const line of lines) {
      if (this.#isClosed) break;
      await this.#tryDeliver(line);
      if (!this.#isClosed) this.#openCursor().write({ number: line.number });
    }
    const lastNumber = lines.at(-1)?.number ?? batch.afterNumber;
    return { lastNumber, lines: lines.length, guestUs: nowUs };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cursor?.close();
  }

  #openCursor(): LogCursor {
    this.#cursor ??= new LogCursor(this.#cursorFile);
    return this.#cursor;
  }

  /** Drops a line that its sink does not take, so that the machine goes on. */
  async #tryDeliver(line: GuestLine): Promise<void> {
    try {
      await this.#sink.onLog(line);
    } catch (err) {
      if (!this.#hasFailed) logger.error("log sink failed, lines are dropped", { error: describeError(err) });
      this.#hasFailed = true;
    }
  }
}
