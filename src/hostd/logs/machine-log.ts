import { rmSync } from "node:fs";
import { join } from "node:path";
import type { LogLine } from "../vmm/vmm.ts";
import {
  decodeLine,
  encodeLine,
  endOfLine,
  maxEncodedBytes,
  type StoredLine,
  sequenceAt,
} from "./line-format.ts";
import { type IndexEntry, LogFile } from "./log-file.ts";

/** Most that is returned at once. */
const BATCH_LINES = 200;
const BATCH_CHARACTERS = 256 * 1_024;
/** Lines of this size are written together. */
const WRITE_BYTES = 256 * 1_024;
const scratch = Buffer.allocUnsafeSlow(2 * WRITE_BYTES);

/** The last line of a log. */
interface LogEnd {
  readonly sequence: number;
  /** The guest's number, if the line has one. */
  readonly number: number | undefined;
}

/**
 * The log of one machine on disk: two files. When the newer is full, it replaces the older. Nothing
 * of it is in memory but the files' indexes.
 */
export class MachineLog {
  /** Undefined until it is needed. */
  #end: LogEnd | undefined;
  readonly #dir: string;
  readonly #older: LogFile;
  readonly #newer: LogFile;
  readonly #maxFileBytes: number;

  /** @param maxBytes of both files together */
  constructor(dir: string, maxBytes: number) {
    this.#dir = dir;
    this.#maxFileBytes = Math.floor(maxBytes / 2);
    this.#older = new LogFile(join(dir, "older.jsonl"));
    this.#newer = new LogFile(join(dir, "newer.jsonl"));
  }

  get end(): LogEnd {
    this.#end ??= this.#readEnd();
    return this.#end;
  }

  get bytes(): number {
    return this.#older.size + this.#newer.size;
  }

  /** Appends lines and gives them their sequences. When it throws, some are lost: a gap in their sequences. */
  append(lines: readonly LogLine[]): void {
    let end = 0;
    let starts: IndexEntry[] = [];
    const write = (): void => {
      const bytes = scratch.subarray(0, end);
      const entries = starts;
      end = 0;
      starts = [];
      if (bytes.length > 0) this.#newer.append(bytes, entries);
    };
    let { sequence } = this.end;
    for (const line of lines) {
      if (end > WRITE_BYTES || maxEncodedBytes(line) > scratch.length - end) write();
      const start = end;
      end = encodeLine(scratch, start, { ...line, sequence: ++sequence });
      const isFull = this.#newer.size + end > this.#maxFileBytes && this.#newer.size + start > 0;
      if (isFull) {
        const encoded = Buffer.from(scratch.subarray(start, end));
        end = start;
        write();
        this.#newer.replace(this.#older);
        end = encoded.copy(scratch);
      }
      starts.push({ sequence, offset: isFull ? 0 : start });
      this.#end = { sequence, number: line.number };
    }
    write();
  }

  /** Returns kept lines after `sequence`, oldest first; none only when there are none. */
  after(sequence: number): readonly StoredLine[] {
    const lines: StoredLine[] = [];
    let characters = 0;
    let last = sequence;
    for (const bytes of this.#segmentsAfter(sequence)) {
      for (let from = 0, to = endOfLine(bytes, 0); to > 0; from = to, to = endOfLine(bytes, from)) {
        if (sequenceAt(bytes, from) <= last) continue;
        const line = decodeLine(bytes, from, to);
        if (line === undefined) continue;
        lines.push(line);
        last = line.sequence;
        characters += line.text.length;
        if (lines.length >= BATCH_LINES || characters >= BATCH_CHARACTERS) return lines;
      }
    }
    return lines;
  }

  /** Returns the sequence before the last `count` lines. */
  beforeLast(count: number): number {
    if (count === 0) return this.end.sequence;
    let missing = count;
    for (const file of [this.#newer, this.#older]) {
      for (let segment = file.segments - 1; segment >= 0; segment--) {
        const bytes = file.readSegment(segment);
        const starts = startsOfLines(bytes);
        const start = starts.at(-missing);
        if (start !== undefined) return Math.max(0, sequenceAt(bytes, start) - 1);
        missing -= starts.length;
      }
    }
    return 0;
  }

  /** Drops lines to free disk: the older half, or all. Sequences go on. */
  shrink(note: LogLine): void {
    if (this.#older.size > 0) {
      this.#older.remove();
      return;
    }
    const { number } = this.end;
    this.#newer.remove();
    this.append([number === undefined ? note : { ...note, number }]);
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }

  *#segmentsAfter(sequence: number): Generator<Buffer> {
    const isInNewer = this.#newer.segments > 0 && this.#newer.first <= sequence + 1;
    for (const file of isInNewer ? [this.#newer] : [this.#older, this.#newer]) {
      for (let segment = file.segmentOf(sequence); segment < file.segments; segment++)
        yield file.readSegment(segment);
    }
  }

  #readEnd(): LogEnd {
    for (const file of [this.#newer, this.#older]) {
      for (let segment = file.segments - 1; segment >= 0; segment--) {
        const bytes = file.readSegment(segment);
        for (const start of startsOfLines(bytes).reverse()) {
          const line = decodeLine(bytes, start, endOfLine(bytes, start));
          if (line) return { sequence: line.sequence, number: line.number };
        }
      }
    }
    return { sequence: 0, number: undefined };
  }
}

function startsOfLines(bytes: Buffer): number[] {
  const starts: number[] = [];
  for (let from = 0, to = endOfLine(bytes, 0); to > 0; from = to, to = endOfLine(bytes, from))
    starts.push(from);
  return starts;
}
