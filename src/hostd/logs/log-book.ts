import { EventEmitter } from "node:events";
import { onAbort } from "../../lib/runtime/abort.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { LogLine } from "../vmm/vmm.ts";
import type { LogFile, StoredLine } from "./log-file.ts";

/** Characters that may wait to be written before the writer is made to wait. */
const MAX_UNWRITTEN = 128 * 1_024;
/** Characters kept in memory for those who follow; whoever is further behind reads the files. */
const RECENT = 64 * 1_024;
/** Lines are written in bunches, at most this long after they came. */
const FLUSH_MS = 20;

/** What one machine writes: gives each line its sequence, keeps it, and tells those who follow. */
export class LogBook {
  readonly #file: LogFile;
  readonly #opened: Promise<void>;
  readonly #changes = new EventEmitter();
  #recent: StoredLine[] = [];
  #recentSize = 0;
  #unwritten: StoredLine[] = [];
  #unwrittenSize = 0;
  #last = 0;
  #writing: Promise<void> | undefined;
  #isGone = false;

  constructor(file: LogFile) {
    this.#file = file;
    this.#changes.setMaxListeners(0);
    this.#opened = file.open().then(
      (last) => {
        this.#last = last;
      },
      (error: unknown) => logger.error("could not open a machine's logs", { error }),
    );
  }

  /** Takes a line. When many wait to be written, resolves only once they are, and so slows down whoever writes them. */
  async append(line: LogLine): Promise<void> {
    await this.#opened;
    if (this.#isGone) return;
    const stored = { ...line, sequence: ++this.#last };
    this.#remember(stored);
    this.#unwritten.push(stored);
    this.#unwrittenSize += sizeOf(stored);
    this.#changes.emit("line");
    const written = this.#flushSoon();
    if (this.#unwrittenSize >= MAX_UNWRITTEN) await written;
  }

  /** Resolves when all lines so far are in the files. */
  async flush(): Promise<void> {
    await this.#opened;
    while (this.#unwritten.length > 0 || this.#writing !== undefined) await this.#flushSoon();
  }

  /** The lines after `sequence` that are kept, oldest first; empty when there are none yet. */
  async after(sequence: number): Promise<readonly StoredLine[]> {
    await this.#opened;
    if (sequence >= this.#last) return [];
    const oldest = this.#recent[0]?.sequence ?? Number.POSITIVE_INFINITY;
    if (oldest <= sequence + 1) return this.#recent.slice(sequence + 1 - oldest);
    await this.flush();
    return (await this.#file.read()).filter((line) => line.sequence > sequence);
  }

  /** Resolves when there is a line after `sequence`, or the machine is gone, or `signal` aborts. */
  async more(sequence: number, signal: AbortSignal): Promise<"line" | "gone"> {
    await this.#opened;
    while (!this.#isGone && this.#last <= sequence) {
      signal.throwIfAborted();
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#changes.on("line", resolve);
      using _ = onAbort(signal, resolve);
      await promise;
      this.#changes.off("line", resolve);
    }
    return this.#isGone ? "gone" : "line";
  }

  /** Drops what waits, and ends those who follow. */
  async discard(): Promise<void> {
    this.#isGone = true;
    this.#unwritten = [];
    this.#changes.emit("line");
    await this.#writing;
  }

  #remember(line: StoredLine): void {
    this.#recent.push(line);
    this.#recentSize += sizeOf(line);
    if (this.#recentSize <= 2 * RECENT) return;
    let from = 0;
    // Half of it at once, so that most lines cost nothing.
    for (; this.#recentSize > RECENT; from += 1) this.#recentSize -= sizeOf(this.#recent[from]);
    this.#recent = this.#recent.slice(from);
  }

  #flushSoon(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, FLUSH_MS));
    const lines = this.#unwritten;
    this.#unwritten = [];
    this.#unwrittenSize = 0;
    if (lines.length === 0) return;
    try {
      await this.#file.append(lines);
    } catch (error) {
      // A full disk costs log lines, never the machine: its sequence shows the gap.
      logger.error("could not write a machine's logs", { lines: lines.length, error });
    }
  }
}

/** Roughly what a line costs in memory. */
function sizeOf(line: StoredLine | undefined): number {
  return (line?.text.length ?? 0) + 64;
}
