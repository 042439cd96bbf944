import type { LogLine } from "../vmm/vmm.ts";

/** A line in the log of a machine. */
export interface StoredLine extends LogLine {
  /** Grows by one with every line of the machine, across restarts too. */
  readonly sequence: number;
}

type Tuple = readonly [
  sequence: number,
  timeUs: number,
  stream: LogLine["stream"],
  text: string,
  number?: number,
];

const NEWLINE = 0x0a;
const DIGIT_ZERO = 0x30;
/** What a line takes besides its text. */
const MAX_HEADER_BYTES = 96;
/** Longest form of one UTF-16 code unit: a control character as `\u0000`. */
const MAX_UNIT_BYTES = 6;

/** Returns the most bytes that `encodeLine` writes. */
export function maxEncodedBytes({ text }: LogLine): number {
  return text.length * MAX_UNIT_BYTES + MAX_HEADER_BYTES;
}

/** Writes a line as JSON with a newline; returns where it ends. */
export function encodeLine(buffer: Buffer, at: number, line: StoredLine): number {
  const { sequence, timeUs, stream, text, number } = line;
  const end = number === undefined ? "]\n" : `,${number}]\n`;
  return at + buffer.write(`[${sequence},${timeUs},"${stream}",${JSON.stringify(text)}${end}`, at);
}

/** Decodes the line in `bytes[from, to)`. Undefined when it is damaged. */
export function decodeLine(bytes: Buffer, from: number, to: number): StoredLine | undefined {
  try {
    // Written by `encodeLine`; anything else fails to parse or is not an array.
    const [sequence, timeUs, stream, text, number] = JSON.parse(bytes.toString("utf8", from, to)) as Tuple;
    if (!Number.isSafeInteger(sequence)) return undefined;
    return { sequence, timeUs, stream, text, ...(number === undefined ? {} : { number }) };
  } catch {
    return undefined;
  }
}

/** Reads the sequence of the line at `from`; 0 when there is none. */
export function sequenceAt(bytes: Buffer, from: number): number {
  let sequence = 0;
  for (let at = from + 1; at < bytes.length && at < from + 17; at++) {
    const digit = (bytes[at] ?? 0) - DIGIT_ZERO;
    if (digit < 0 || digit > 9) return sequence;
    sequence = sequence * 10 + digit;
  }
  return 0;
}

/** Returns where the line at `from` ends, behind its newline; -1 when its newline is missing. */
export function endOfLine(bytes: Buffer, from: number): number {
  return bytes.indexOf(NEWLINE, from) + 1 || -1;
}
