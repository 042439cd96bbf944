import type { OutputBatch } from "../../output.ts";
import type { LogLine } from "../../vmm.ts";
import { decodeFrame } from "../guest-protocol/frame.ts";
import { MESSAGE, TAG } from "../guest-protocol/protocol.ts";
import { readNumber } from "../guest-protocol/tlv.ts";
import { GuestClock } from "./guest-clock.ts";

/** The guest cuts lines at the same length. */
const MAX_LINE_BYTES = 16 * 1024;
const FIELD_HEADER = 6;
const LINE_HEADER = 17;
const STREAMS = [undefined, "stdout", "stderr", "system"] as const;

/** A line whose guest numbered it. */
export type GuestLine = LogLine & { readonly number: number };

interface DecodedOutput {
  readonly lines: readonly GuestLine[];
  /** The guest's clock in the last sound frame; 0 when none was. */
  readonly nowUs: number;
}

/**
 * Decodes lines that are not known yet, with times of the host's clock. Frames may be hostile:
 * damaged ones, lines of unknown streams and numbers that do not grow are dropped.
 */
export function decodeOutput(batch: OutputBatch): DecodedOutput {
  const bytes = Buffer.from(batch.frames.buffer, batch.frames.byteOffset, batch.frames.byteLength);
  const bodies: Buffer[] = [];
  const clock = new GuestClock(batch.clock);
  let nowUs = 0;
  for (let from = 0, end = bytes.indexOf(0); end >= 0; from = end + 1, end = bytes.indexOf(0, from)) {
    const frame = decodeFrame(bytes.subarray(from, end));
    if (frame?.type !== MESSAGE.logs) continue;
    bodies.push(frame.body);
    nowUs = readNow(frame.body) ?? nowUs;
  }
  if (nowUs > 0) clock.received(nowUs, batch.arrivedUs);
  const lines: GuestLine[] = [];
  let last = batch.afterNumber;
  for (const body of bodies) {
    for (const line of readLines(body)) {
      if (line.number <= last) continue;
      last = line.number;
      lines.push({ ...line, timeUs: clock.toHost(line.timeUs, batch.notBeforeUs, batch.arrivedUs) });
    }
  }
  return { lines, nowUs };
}

/** Reads the lines of a frame's body, with times of the guest's clock. */
export function readLines(body: Buffer): readonly GuestLine[] {
  const lines: GuestLine[] = [];
  for (let at = 0; body.length - at >= FIELD_HEADER; ) {
    const tag = body.readUInt16LE(at);
    const from = at + FIELD_HEADER;
    const end = from + body.readUInt32LE(at + 2);
    if (end > body.length) break;
    at = end;
    if (tag !== TAG.line || end - from < LINE_HEADER) continue;
    const stream = STREAMS[body[from + 16] ?? 0];
    if (stream === undefined) continue;
    const textFrom = from + LINE_HEADER;
    lines.push({
      number: readSafeInteger(body, from),
      timeUs: readSafeInteger(body, from + 8),
      stream,
      text: end === textFrom ? "" : body.toString("utf8", textFrom, Math.min(end, textFrom + MAX_LINE_BYTES)),
    });
  }
  return lines;
}

function readNow(body: Buffer): number | undefined {
  const hasNow = body.length >= FIELD_HEADER + 8 && body.readUInt16LE(0) === TAG.now;
  return hasNow && body.readUInt32LE(2) === 8
    ? readNumber(body.subarray(FIELD_HEADER, FIELD_HEADER + 8))
    : undefined;
}

/** Reads 8 bytes; 0 when they are no safe integer. */
function readSafeInteger(body: Buffer, at: number): number {
  const high = body.readUInt32LE(at + 4);
  return high < 0x20_0000 ? high * 0x1_0000_0000 + body.readUInt32LE(at) : 0;
}
