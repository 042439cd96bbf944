import { type BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { AttributeValue } from "../../lib/latency/span.ts";
import { decodeAnyValue } from "./any-value.ts";
import { endOf, skip } from "./message-reader.ts";
import { attributeValue, double, MAX_ATTRIBUTES, MAX_KEY, MAX_TEXT, shorten } from "./values.ts";

/** Reads an attribute into `into`, unless there are `count` already. Returns how many it has added. */
export function readAttribute(
  reader: BinaryReader,
  end: number,
  into: Record<string, AttributeValue>,
  count: number,
): number {
  let key = "";
  let value: AttributeValue | undefined;
  if (count >= MAX_ATTRIBUTES) reader.pos = end;
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (wireType === WireType.LengthDelimited && number === 1) key = reader.string();
    else if (wireType === WireType.LengthDelimited && number === 2) {
      value = readValue(reader, end);
    } else skip(reader, end, wireType, number);
  }
  if (reader.pos !== end) throw new RangeError("a field is longer than its message");
  if (key === "" || value === undefined) return 0;
  const name = shorten(key, MAX_KEY);
  if (name !== "__proto__") into[name] = value;
  else Object.defineProperty(into, name, { value, enumerable: true, configurable: true, writable: true });
  return 1;
}

/** Reads an `AnyValue`. The usual sorts are read here; those with parts go through the shape of JSON. */
function readValue(reader: BinaryReader, limit: number): AttributeValue | undefined {
  const lengthAt = reader.pos;
  const end = endOf(reader, limit);
  if (reader.pos === end) return undefined;
  const [number, wireType] = reader.tag();
  let value: AttributeValue | undefined;
  if (number === 1 && wireType === WireType.LengthDelimited) value = shorten(reader.string(), MAX_TEXT);
  else if (number === 2 && wireType === WireType.Varint) value = reader.bool();
  else if (number === 3 && wireType === WireType.Varint) value = whole(reader);
  else if (number === 4 && wireType === WireType.Bit64) value = double(reader.double());
  if (value !== undefined && reader.pos === end) return value;
  reader.pos = lengthAt;
  return attributeValue(decodeAnyValue(reader.bytes()));
}

function whole(reader: BinaryReader): number | string {
  const value = reader.int64();
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}
