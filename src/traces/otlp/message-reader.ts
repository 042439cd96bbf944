import { type BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** Yields the end of each message in field `field`, with the reader at its begin, and skips the other fields until `end`. */
export function* messages(reader: BinaryReader, end: number, field: number): Generator<number> {
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (number === field && wireType === WireType.LengthDelimited) yield endOf(reader, end);
    else skip(reader, end, wireType, number);
  }
}

/** Reads the length of a message. Returns where it ends. */
export function endOf(reader: BinaryReader, limit: number): number {
  const end = reader.uint32() + reader.pos;
  if (end > limit) throw new RangeError("a message is longer than the one that holds it");
  return end;
}

export function skip(reader: BinaryReader, limit: number, wireType: WireType, field: number): void {
  reader.skip(wireType, field);
  if (reader.pos > limit) throw new RangeError("a field is longer than its message");
}

/** Reads bytes as hex digits. */
export function readHex(reader: BinaryReader): string {
  const bytes = reader.bytes();
  // Ids have at most 16 bytes; longer ones are refused by their length.
  const part = bytes.length <= 17 ? bytes : bytes.subarray(0, 17);
  return Buffer.from(part.buffer, part.byteOffset, part.length).toString("hex");
}

/** Reads nanoseconds. Returns microseconds; undefined: beyond the year 2255. */
export function readMicroseconds(reader: BinaryReader): number | undefined {
  const low = reader.fixed32();
  const high = reader.fixed32();
  // 2 ** 32 is 4,294,967,296.
  const us = high * 4_294_967 + Math.floor((high * 296 + low) / 1_000);
  return us <= Number.MAX_SAFE_INTEGER ? us : undefined;
}
