import { EventEmitter, once } from "node:events";
import { logger } from "../../lib/runtime/log.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import type { LogLine } from "../vmm/vmm.ts";
import type { LogFile, StoredLine } from "./log-file.ts";

/** Characters that may wait to be written. Beyond them the VM's output waits. */
const MAX_UNWRITTEN = 128 * 1_024;
/** Characters in memory for followers. A follower further behind reads the files. */
const RECENT = 64 * 1_024;
/** Lines of this time are written together. */
const FLUSH_DELAY_MS = 20;

/** The log of one machine: numbers its lines, writes them, and wakes followers. */
export class MachineLog {
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
      (error: unknown) => logger.error("could not open a machine's log", { error }),
    );
  }

  /** Appends a line. Resolves at once; when too much is unwritten, once it is written. */
  async append(line: LogLine): Promise<void> {
    await this.#opened;
    if (this.#isGone) return;
    const stored = { ...line, sequence: ++this.#last };
    this.#remember(stored);
    this.#unwritten.push(stored);
    this.#unwrittenSize += sizeOf(stored);
    this.#changes.emit("line");
    const written = this.#scheduleWrite();
    if (this.#unwrittenSize >= MAX_UNWRITTEN) await written;
  }

  /** Resolves when all lines so far are in the files. */
  async flush(): Promise<void> {
    await this.#opened;
    while (this.#unwritten.length > 0 || this.#writing !== undefined) await this.#scheduleWrite();
  }

  /** Returns the kept lines after `sequence`, oldest first. */
  async after(sequence: number): Promise<readonly StoredLine[]> {
    await this.#opened;
    if (sequence >= this.#last) return [];
    const oldest = this.#recent[0]?.sequence ?? Number.POSITIVE_INFINITY;
    if (oldest <= sequence + 1) return this.#recent.slice(sequence + 1 - oldest);
    await this.flush();
    return (await this.#file.read()).filter((line) => line.sequence > sequence);
  }

  /** Waits for a line after `sequence`, or for the end of the log. Rejects with the reason of `signal`. */
  async more(sequence: number, signal: AbortSignal): Promise<"line" | "gone"> {
    await this.#opened;
    while (!this.#isGone && this.#last <= sequence) {
      signal.throwIfAborted();
      await once(this.#changes, "line", { signal }).catch(() => {});
    }
    return this.#isGone ? "gone" : "line";
  }

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
    // Drops half at once, so that most lines cost nothing.
    for (; this.#recentSize > RECENT; from += 1) this.#recentSize -= sizeOf(this.#recent[from]);
    this.#recent = this.#recent.slice(from);
  }

  #scheduleWrite(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    await sleep(FLUSH_DELAY_MS);
    const lines = this.#unwritten;
    this.#unwritten = [];
    this.#unwrittenSize = 0;
    if (lines.length === 0) return;
    try {
      await this.#file.append(lines);
    } catch (error) {
      // A full disk loses lines; the gap shows in their sequence.
      logger.error("could not write a machine's log", { lines: lines.length, error });
    }
  }
}

/** Estimates the memory of a line, in characters. */
function sizeOf(line: StoredLine | undefined): number {
  return (line?.text.length ?? 0) + 64;
}
