import { appendFile, mkdir, readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import type { LogLine } from "../vmm/vmm.ts";

/** A line in the log of a machine. */
export interface StoredLine extends LogLine {
  /** Grows by one with every line of the machine, across restarts too. */
  readonly sequence: number;
}

const OLDER = "older.jsonl";
const NEWER = "newer.jsonl";

/** The log of one machine on disk: two files. When the newer is full, it replaces the older. For one caller at a time. */
export class LogFile {
  readonly #dir: string;
  readonly #maxFileBytes: number;
  #size = 0;

  /** @param maxBytes of both files together */
  constructor(dir: string, maxBytes: number) {
    this.#dir = dir;
    this.#maxFileBytes = Math.floor(maxBytes / 2);
  }

  /** Makes the folder, and returns the last sequence. */
  async open(): Promise<number> {
    await mkdir(this.#dir, { recursive: true, mode: 0o750 });
    this.#size = await stat(join(this.#dir, NEWER)).then(({ size }) => size, ifMissing(0));
    const lines = await this.read();
    return lines.at(-1)?.sequence ?? 0;
  }

  /** Appends lines, not synced: they survive a crash of hostd, not of the host. */
  async append(lines: readonly StoredLine[]): Promise<void> {
    let batch: string[] = [];
    let size = 0;
    for (const line of lines) {
      const text = `${JSON.stringify(toTuple(line))}\n`;
      const length = Buffer.byteLength(text);
      if (this.#size + size > 0 && this.#size + size + length > this.#maxFileBytes) {
        await this.#write(batch, size);
        await this.#rotate();
        batch = [];
        size = 0;
      }
      batch.push(text);
      size += length;
    }
    await this.#write(batch, size);
  }

  /** Reads all lines, oldest first. Skips lines cut off by a crash or a full disk. */
  async read(): Promise<readonly StoredLine[]> {
    const lines: StoredLine[] = [];
    for (const name of [OLDER, NEWER]) {
      for (const text of (await this.#readFile(name)).split("\n")) {
        const line = text === "" ? undefined : parse(text);
        if (line && line.sequence > (lines.at(-1)?.sequence ?? 0)) lines.push(line);
      }
    }
    return lines;
  }

  #readFile(name: string): Promise<string> {
    return readFile(join(this.#dir, name), "utf8").catch(ifMissing(""));
  }

  async #write(texts: readonly string[], size: number): Promise<void> {
    if (size === 0) return;
    await appendFile(join(this.#dir, NEWER), texts.join(""), { mode: 0o640 });
    this.#size += size;
  }

  async #rotate(): Promise<void> {
    await rename(join(this.#dir, NEWER), join(this.#dir, OLDER));
    this.#size = 0;
  }
}

type Tuple = readonly [sequence: number, timeUs: number, stream: LogLine["stream"], text: string];

function toTuple({ sequence, timeUs, stream, text }: StoredLine): Tuple {
  return [sequence, timeUs, stream, text];
}

function parse(text: string): StoredLine | undefined {
  try {
    // Written by `toTuple`; anything else fails to parse or is not an array.
    const [sequence, timeUs, stream, line] = JSON.parse(text) as Tuple;
    return { sequence, timeUs, stream, text: line };
  } catch {
    return undefined;
  }
}

/** Returns `value` instead of the error of a missing file. */
function ifMissing<T>(value: T): (err: unknown) => T {
  return (err) => {
    if (err instanceof Error && "code" in err && err.code === "ENOENT") return value;
    throw err;
  };
}
