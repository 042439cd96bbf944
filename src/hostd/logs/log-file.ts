import { appendFile, mkdir, readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import type { LogLine } from "../vmm/vmm.ts";

/** A line as it is kept. */
export interface StoredLine extends LogLine {
  /** Grows by one with every line of the machine, also over restarts. */
  readonly sequence: number;
}

const OLDER = "older.jsonl";
const NEWER = "newer.jsonl";

/**
 * The lines of one machine on disk: two files, of which the newer is written until it has half of the bound and then
 * becomes the older, whose lines are dropped. One caller at a time.
 */
export class LogFile {
  readonly #dir: string;
  readonly #segmentBytes: number;
  #size = 0;

  /** @param maxBytes both files together */
  constructor(dir: string, maxBytes: number) {
    this.#dir = dir;
    this.#segmentBytes = Math.floor(maxBytes / 2);
  }

  /** Makes the folder, and finds the last sequence there is. */
  async open(): Promise<number> {
    await mkdir(this.#dir, { recursive: true, mode: 0o750 });
    this.#size = await sizeOf(join(this.#dir, NEWER));
    const lines = await this.read();
    return lines.at(-1)?.sequence ?? 0;
  }

  /** Appends lines. They are in the page cache then: they survive hostd, not the host. */
  async append(lines: readonly StoredLine[]): Promise<void> {
    let bunch: string[] = [];
    let size = 0;
    for (const line of lines) {
      const text = `${JSON.stringify(toTuple(line))}\n`;
      const length = Buffer.byteLength(text);
      if (this.#size + size > 0 && this.#size + size + length > this.#segmentBytes) {
        await this.#write(bunch, size);
        await this.#turnOver();
        bunch = [];
        size = 0;
      }
      bunch.push(text);
      size += length;
    }
    await this.#write(bunch, size);
  }

  /** All lines that are kept, oldest first. What a crash or a full disk has left of a line is skipped. */
  async read(): Promise<readonly StoredLine[]> {
    const lines: StoredLine[] = [];
    for (const name of [OLDER, NEWER]) {
      for (const text of (await textOf(join(this.#dir, name))).split("\n")) {
        const line = text === "" ? undefined : parse(text);
        if (line && line.sequence > (lines.at(-1)?.sequence ?? 0)) lines.push(line);
      }
    }
    return lines;
  }

  async #write(texts: readonly string[], size: number): Promise<void> {
    if (size === 0) return;
    await appendFile(join(this.#dir, NEWER), texts.join(""), { mode: 0o640 });
    this.#size += size;
  }

  async #turnOver(): Promise<void> {
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

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (err) {
    if (isMissing(err)) return 0;
    throw err;
  }
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (err) {
    if (isMissing(err)) return "";
    throw err;
  }
}

function isMissing(err: unknown): boolean {
  return err instanceof Error && "code" in err && err.code === "ENOENT";
}
