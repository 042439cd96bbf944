import { crc32 } from "node:zlib";

/** Largest encoded frame accepted from a guest; the guest's own limit is lower. */
const MAX_ENCODED = 128 * 1024;
const CHECKSUM = 4;

export interface Frame {
  readonly type: number;
  readonly body: Buffer;
}

/**
 * Encodes one frame of the agent channel: type, body and CRC-32, COBS-encoded, and a zero byte. As
 * an encoded frame holds no zero, a receiver is synchronised again after the next one, whatever it
 * missed. The guest's side is guest/init/channel/frame.c.
 */
export function encodeFrame(type: number, body: Buffer): Buffer {
  const plain = Buffer.allocUnsafe(1 + body.length + CHECKSUM);
  plain[0] = type;
  body.copy(plain, 1);
  plain.writeUInt32LE(crc32(plain.subarray(0, 1 + body.length)), 1 + body.length);
  return encodeCobs(plain);
}

/**
 * Cuts a stream of bytes into encoded frames, each without its final zero. Oversized ones are
 * dropped; `decodeFrame` drops damaged ones.
 */
export class FrameReader {
  #parts: Buffer[] = [];
  #length = 0;
  #isSkipping = false;

  *push(chunk: Buffer): Generator<Buffer> {
    let from = 0;
    for (let end = chunk.indexOf(0); end >= 0; end = chunk.indexOf(0, from)) {
      this.#keep(chunk.subarray(from, end));
      const [first] = this.#parts;
      const frame = this.#parts.length > 1 ? Buffer.concat(this.#parts) : first;
      this.#clear();
      from = end + 1;
      if (frame) yield frame;
    }
    this.#keep(Buffer.from(chunk.subarray(from)));
  }

  #keep(part: Buffer): void {
    if (part.length === 0 || this.#isSkipping) return;
    if (this.#length + part.length > MAX_ENCODED) {
      this.#clear();
      this.#isSkipping = true;
      return;
    }
    this.#parts.push(part);
    this.#length += part.length;
  }

  #clear(): void {
    this.#parts = [];
    this.#length = 0;
    this.#isSkipping = false;
  }
}

/** Reads the type of an encoded frame without decoding it; 0 when it has none. */
export function typeOf(encoded: Buffer): number {
  return encoded.length > 1 && encoded[0] !== 1 ? (encoded[1] ?? 0) : 0;
}

export function decodeFrame(encoded: Buffer): Frame | undefined {
  const plain = decodeCobs(encoded);
  if (plain === undefined || plain.length < 1 + CHECKSUM) return undefined;
  const end = plain.length - CHECKSUM;
  if (crc32(plain.subarray(0, end)) !== plain.readUInt32LE(end)) return undefined;
  return { type: plain[0] ?? 0, body: plain.subarray(1, end) };
}

function encodeCobs(plain: Buffer): Buffer {
  const out = Buffer.allocUnsafe(plain.length + Math.ceil(plain.length / 254) + 2);
  let codeAt = 0;
  let length = 1;
  let code = 1;
  // By index: the iterator of a buffer takes several times as long.
  for (let at = 0; at < plain.length; at++) {
    const byte = plain[at] ?? 0;
    if (byte !== 0) {
      out[length++] = byte;
      code++;
    }
    if (byte === 0 || code === 0xff) {
      out[codeAt] = code;
      codeAt = length++;
      code = 1;
    }
  }
  out[codeAt] = code;
  out[length++] = 0;
  return out.subarray(0, length);
}

function decodeCobs(encoded: Buffer): Buffer | undefined {
  const out = Buffer.allocUnsafe(encoded.length);
  let length = 0;
  for (let at = 0; at < encoded.length; ) {
    const code = encoded[at++] ?? 0;
    const end = at + code - 1;
    if (code === 0 || end > encoded.length) return undefined;
    length += encoded.copy(out, length, at, end);
    at = end;
    if (code !== 0xff && at < encoded.length) out[length++] = 0;
  }
  return out.subarray(0, length);
}
