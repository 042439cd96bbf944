import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";

/** Where the output of a VM and the log of its machine stand. */
export interface Cursor {
  /** Number of a line of the guest. */
  readonly number: number;
  /** Sequence of that line in the machine's log, if it has one. */
  readonly sequence?: number | undefined;
}

const BYTES = 16;

/** The file in a VM's folder that lets the next hostd go on behind the last line. */
export class LogCursor {
  readonly #file: string;
  /** Opened with the first line: a start waits for no file. */
  #fd: number | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  write({ number, sequence }: Cursor): void {
    // No flag by name creates a file if needed, keeps its content, and writes at any position.
    this.#fd ??= openSync(this.#file, constants.O_RDWR | constants.O_CREAT, 0o600);
    const bytes = Buffer.allocUnsafe(BYTES);
    bytes.writeBigUInt64LE(BigInt(number));
    // 0 stands for none.
    bytes.writeBigUInt64LE(sequence === undefined ? 0n : BigInt(sequence) + 1n, 8);
    writeSync(this.#fd, bytes, 0, BYTES, 0);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** Reads a cursor. A file of an earlier version has no sequence; one that is missing is at 0. */
export function readCursor(file: string): Cursor {
  try {
    const bytes = readFileSync(file);
    const read = (at: number): number => (bytes.length >= at + 8 ? Number(bytes.readBigUInt64LE(at)) : 0);
    const sequence = read(8);
    return { number: read(0), sequence: sequence === 0 ? undefined : sequence - 1 };
  } catch {
    return { number: 0 };
  }
}
