import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { endOfLine, sequenceAt } from "./line-format.ts";

/** Distance of the lines that the index knows. A read reads at most so much more than it returns. */
const INDEX_STEP_BYTES = 16 * 1_024;
const LAST_LINE_BYTES = 4 * 1_024;

/** A line that the index knows. */
export interface IndexEntry {
  readonly sequence: number;
  readonly offset: number;
}

/**
 * A file of lines in the order of their sequences, with an index of some of them in memory. Its
 * calls are synchronous: they belong in the thread of the logs.
 */
export class LogFile {
  readonly path: string;
  size: number;
  /** Undefined until it is needed. */
  #index: IndexEntry[] | undefined;

  constructor(path: string) {
    this.path = path;
    this.size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (this.size === 0) this.#index = [];
  }

  /** Appends encoded lines, not synced: they survive a crash of hostd, not of the host. */
  append(bytes: Buffer, starts: readonly IndexEntry[]): void {
    this.#entries();
    const fd = openToAppend(this.path);
    try {
      this.#write(fd, bytes);
    } finally {
      closeSync(fd);
    }
    for (const { sequence, offset } of starts) this.#add(sequence, this.size + offset);
    this.size += bytes.length;
  }

  /** Sequence of the first line; 0 when there is none. */
  get first(): number {
    return this.#entries()[0]?.sequence ?? 0;
  }

  /** Returns the part of the file that holds the first line after `sequence`. */
  segmentOf(sequence: number): number {
    const index = this.#entries();
    let low = 0;
    let high = index.length;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if ((index[middle]?.sequence ?? 0) <= sequence + 1) low = middle;
      else high = middle;
    }
    return low;
  }

  get segments(): number {
    return this.#entries().length;
  }

  /** Reads a part: from one line of the index to the next. */
  readSegment(segment: number): Buffer {
    const index = this.#entries();
    const from = index[segment]?.offset ?? this.size;
    return this.#read(from, index[segment + 1]?.offset ?? this.size);
  }

  /** Replaces another file by this one. */
  replace(other: LogFile): void {
    renameSync(this.path, other.path);
    other.size = this.size;
    other.#index = this.#index;
    this.size = 0;
    this.#index = [];
  }

  remove(): void {
    rmSync(this.path, { force: true });
    this.size = 0;
    this.#index = [];
  }

  /** Writes all or nothing: a line that is cut off would damage the next one. */
  #write(fd: number, bytes: Buffer): void {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    } catch (err) {
      try {
        ftruncateSync(fd, this.size);
      } catch {
        // The first error tells more.
      }
      throw err;
    }
  }

  #add(sequence: number, offset: number): void {
    const index = this.#entries();
    const last = index.at(-1);
    if (last && offset < last.offset + INDEX_STEP_BYTES) return;
    index.push({ sequence, offset });
  }

  #read(from: number, to: number): Buffer {
    const fd = openSync(this.path, "r");
    try {
      return readRange(fd, from, to);
    } finally {
      closeSync(fd);
    }
  }

  #entries(): IndexEntry[] {
    this.#index ??= this.#load();
    return this.#index;
  }

  /** Finds the lines of the index, and cuts off a last line that a crash left incomplete. */
  #load(): IndexEntry[] {
    const index: IndexEntry[] = [];
    const fd = openSync(this.path, "r+");
    try {
      this.size = endOfLastLine(fd);
      ftruncateSync(fd, this.size);
      for (let from = 0; from < this.size; from += INDEX_STEP_BYTES) {
        const bytes = readRange(fd, from, Math.min(this.size, from + INDEX_STEP_BYTES));
        const start = from === 0 ? 0 : endOfLine(bytes, 0);
        const sequence = start < 0 ? 0 : sequenceAt(bytes, start);
        if (from === 0 || sequence > (index.at(-1)?.sequence ?? 0))
          index.push({ sequence, offset: from + start });
      }
    } finally {
      closeSync(fd);
    }
    return index;
  }
}

function openToAppend(path: string): number {
  try {
    return openSync(path, "a", 0o600);
  } catch (err) {
    if (!(err instanceof Error && "code" in err && err.code === "ENOENT")) throw err;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return openSync(path, "a", 0o600);
  }
}

function readRange(fd: number, from: number, to: number): Buffer {
  const bytes = Buffer.allocUnsafe(to - from);
  let length = 0;
  for (let read = -1; read !== 0 && length < bytes.length; length += read)
    read = readSync(fd, bytes, length, bytes.length - length, from + length);
  return bytes.subarray(0, length);
}

function endOfLastLine(fd: number): number {
  for (let to = fstatSync(fd).size; to > 0; to -= LAST_LINE_BYTES) {
    const from = Math.max(0, to - LAST_LINE_BYTES);
    const newline = readRange(fd, from, to).lastIndexOf("\n");
    if (newline >= 0) return from + newline + 1;
  }
  return 0;
}
