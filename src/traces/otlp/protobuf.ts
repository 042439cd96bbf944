import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";

type Read = (reader: BinaryReader) => unknown;

/** A field. `list` marks repeated ones; `message` is the type of those that are messages. */
type Field = { readonly name: string; readonly list?: true } & (
  | { readonly read: Read }
  | { readonly message: () => Message }
);

/** A message type: its fields by number. Other fields are skipped. */
type Message = Readonly<Record<number, Field>>;

const string: Read = (reader) => reader.string();
const int32: Read = (reader) => reader.int32();
const fixed64: Read = (reader) => String(reader.fixed64());
const hex: Read = (reader) => Buffer.from(reader.bytes()).toString("hex");

const ANY_VALUE: Message = {
  1: { name: "stringValue", read: string },
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
const KEY_VALUE: Message = {
  1: { name: "key", read: string },
  2: { name: "value", message: () => ANY_VALUE },
};
const attributes = { name: "attributes", list: true, message: () => KEY_VALUE } as const;
const EVENT: Message = {
  1: { name: "timeUnixNano", read: fixed64 },
  2: { name: "name", read: string },
  3: attributes,
};
const STATUS: Message = { 2: { name: "message", read: string }, 3: { name: "code", read: int32 } };
const SPAN: Message = {
  1: { name: "traceId", read: hex },
  2: { name: "spanId", read: hex },
  4: { name: "parentSpanId", read: hex },
  5: { name: "name", read: string },
  6: { name: "kind", read: int32 },
  7: { name: "startTimeUnixNano", read: fixed64 },
  8: { name: "endTimeUnixNano", read: fixed64 },
  9: attributes,
  11: { name: "events", list: true, message: () => EVENT },
  15: { name: "status", message: () => STATUS },
};
const SCOPE_SPANS: Message = { 2: { name: "spans", list: true, message: () => SPAN } };
const RESOURCE_SPANS: Message = {
  1: { name: "resource", message: () => ({ 1: attributes }) },
  2: { name: "scopeSpans", list: true, message: () => SCOPE_SPANS },
};
const REQUEST: Message = { 1: { name: "resourceSpans", list: true, message: () => RESOURCE_SPANS } };

/** Messages nested deeper are dropped. Attribute values are cut long before. */
const MAX_DEPTH = 32;

/**
 * Reads an `ExportTraceServiceRequest` into the shape that OTLP/JSON gives it, so that both
 * encodings are normalised alike.
 *
 * @throws Error when the bytes are not protobuf
 */
export function decodeExportRequest(bytes: Uint8Array): unknown {
  return decode(bytes, REQUEST, 0);
}

function decode(bytes: Uint8Array, type: Message, depth: number): unknown {
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

const TAG_1_VARINT = 8;
const TAG_1_BYTES = 10;
const TAG_2_BYTES = 18;

/** Writes `ExportTraceServiceResponse`; a response without rejections is empty. */
export function encodeExportResponse(rejected: number, message: string): Uint8Array {
  const writer = new BinaryWriter();
  if (rejected === 0 && message === "") return writer.finish();
  writer.uint32(TAG_1_BYTES).fork();
  writer.uint32(TAG_1_VARINT).int64(rejected).uint32(TAG_2_BYTES).string(message);
  return writer.join().finish();
}

/** Writes `google.rpc.Status`, which OTLP asks for as the body of an error. */
export function encodeStatus(code: number, message: string): Uint8Array {
  return new BinaryWriter().uint32(TAG_1_VARINT).int32(code).uint32(TAG_2_BYTES).string(message).finish();
}
