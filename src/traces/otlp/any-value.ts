import { BinaryReader } from "@bufbuild/protobuf/wire";

type Read = (reader: BinaryReader) => unknown;

/** A field. `list` marks repeated ones; `message` is the type of those that are messages. */
export type Field = { readonly name: string; readonly list?: true } & (
  | { readonly read: Read }
  | { readonly message: () => Message }
);

/** A message type: its fields by number. Other fields are skipped. */
export type Message = Readonly<Record<number, Field>>;

const text: Read = (reader) => reader.string();

const ANY_VALUE: Message = {
  1: { name: "stringValue", read: text },
  2: { name: "boolValue", read: (reader) => reader.bool() },
  3: { name: "intValue", read: (reader) => String(reader.int64()) },
  4: { name: "doubleValue", read: (reader) => reader.double() },
  5: { name: "arrayValue", message: () => ({ 1: { name: "values", list: true, message: () => ANY_VALUE } }) },
  6: {
    name: "kvlistValue",
    message: () => ({ 1: { name: "values", list: true, message: () => KEY_VALUE } }),
  },
  7: { name: "bytesValue", read: (reader) => Buffer.from(reader.bytes()).toString("base64") },
};

export const KEY_VALUE: Message = {
  1: { name: "key", read: text },
  2: { name: "value", message: () => ANY_VALUE },
};

/** Messages nested deeper are dropped. Attribute values are cut long before. */
const MAX_DEPTH = 32;

/** Reads an `AnyValue` of any sort into the shape that OTLP/JSON gives it. */
export function decodeAnyValue(bytes: Uint8Array): unknown {
  return decode(bytes, ANY_VALUE, 0);
}

/** Reads a message into the shape that OTLP/JSON gives it. @throws Error when the bytes are not protobuf */
export function decode(bytes: Uint8Array, type: Message, depth = 0): unknown {
  const reader = new BinaryReader(bytes);
  const result: Record<string, unknown> = {};
  if (depth > MAX_DEPTH) return result;
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = type[number];
    if (!field) {
      reader.skip(wireType, number);
      continue;
    }
    const value = "read" in field ? field.read(reader) : decode(reader.bytes(), field.message(), depth + 1);
    const before = result[field.name];
    if (!field.list) result[field.name] = value;
    else if (Array.isArray(before)) before.push(value);
    else result[field.name] = [value];
  }
  return result;
}
