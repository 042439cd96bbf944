import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logs } from "../machines/host.ts";
import type { VmSink } from "../vmm/vmm.ts";
import { LogBook } from "./log-book.ts";
import { LogFile, type StoredLine } from "./log-file.ts";

/** Which lines are wanted. */
export interface LogQuery {
  /** Only the last so many. */
  readonly tail: number | undefined;
  readonly afterSequence: number;
  /** Go on until the machine is gone or `signal` aborts. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** Lines in one batch. */
const BATCH = 200;

/** What the machines of this host wrote: bounded files, one folder for each machine. */
export class LogStore implements Logs {
  readonly #dir: string;
  readonly #maxBytes: number;
  readonly #books = new Map<string, LogBook>();

  /** @param maxKb bound of one machine's files together */
  constructor(dir: string, maxKb: number) {
    this.#dir = dir;
    this.#maxBytes = maxKb * 1_024;
  }

  sink(id: string): VmSink {
    return { onLog: (line) => this.#book(id).append(line) };
  }

  /**
   * Lines of a machine in batches, oldest first. A reader that is slow is not waited for and costs no memory: it is kept as a position,
   * and when the files no longer have what comes after it, a `system` line says how many lines it has missed.
   */
  async *read(id: string, query: LogQuery): AsyncGenerator<readonly StoredLine[]> {
    const book = this.#book(id);
    let position = query.afterSequence;
    let tail = query.tail;
    for (;;) {
      let lines = await book.after(position);
      if (tail !== undefined) {
        lines = tail === 0 ? [] : lines.slice(-tail);
        if (tail === 0) position = Math.max(position, (await book.after(position)).at(-1)?.sequence ?? 0);
      } else {
        lines = withGap(position, lines);
      }
      tail = undefined;
      for (let at = 0; at < lines.length; at += BATCH) yield lines.slice(at, at + BATCH);
      position = Math.max(position, lines.at(-1)?.sequence ?? 0);
      if (!query.follow) return;
      if ((await book.more(position, query.signal)) === "gone") return;
    }
  }

  async remove(id: string): Promise<void> {
    await this.#books.get(id)?.discard();
    this.#books.delete(id);
    await rm(join(this.#dir, id), { recursive: true, force: true });
  }

  async owners(): Promise<readonly string[]> {
    try {
      return await readdir(this.#dir);
    } catch (err) {
      if (err instanceof Error && "code" in err && err.code === "ENOENT") return [];
      throw err;
    }
  }

  /** Writes what waits. */
  async flush(): Promise<void> {
    await Promise.all([...this.#books.values()].map((book) => book.flush()));
  }

  #book(id: string): LogBook {
    let book = this.#books.get(id);
    if (!book) {
      book = new LogBook(new LogFile(join(this.#dir, id), this.#maxBytes));
      this.#books.set(id, book);
    }
    return book;
  }
}

/** Position 0 is "from the beginning of what is kept", which misses nothing. */
function withGap(position: number, lines: readonly StoredLine[]): readonly StoredLine[] {
  const first = lines[0];
  if (!first || position === 0 || first.sequence <= position + 1) return lines;
  const missed = first.sequence - position - 1;
  const text = `${missed} lines are no longer kept`;
  return [{ timeUs: first.timeUs, stream: "system", text, sequence: first.sequence - 1 }, ...lines];
}
