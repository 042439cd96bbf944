const HEADER = 6;

/** Writes a message body: a sequence of fields, each tag, length and value, little endian. */
export class TlvWriter {
  readonly #parts: Buffer[] = [];

  put(tag: number, value: Buffer | string): this {
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    const header = Buffer.allocUnsafe(HEADER);
    header.writeUInt16LE(tag, 0);
    header.writeUInt32LE(bytes.length, 2);
    this.#parts.push(header, bytes);
    return this;
  }

  putU64(tag: number, value: bigint): this {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeBigUInt64LE(value);
    return this.put(tag, bytes);
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

export interface Field {
  readonly tag: number;
  readonly value: Buffer;
}

/** Yields the fields of a body, up to the first that reaches beyond it. */
export function* readFields(body: Buffer): Generator<Field> {
  for (let at = 0; body.length - at >= HEADER; ) {
    const tag = body.readUInt16LE(at);
    const end = at + HEADER + body.readUInt32LE(at + 2);
    if (end > body.length) return;
    yield { tag, value: body.subarray(at + HEADER, end) };
    at = end;
  }
}

/** Reads a number of 1, 4 or 8 bytes; 0 for other lengths and unsafe integers. */
export function readNumber(value: Buffer): number {
  switch (value.length) {
    case 1:
      return value.readUInt8();
    case 4:
      return value.readUInt32LE();
    case 8: {
      const wide = value.readBigUInt64LE();
      return wide <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(wide) : 0;
    }
    default:
      return 0;
  }
}
