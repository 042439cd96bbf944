import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";

/**
 * Reads an `ExportTraceServiceRequest` into the shape that OTLP/JSON gives it, so that one normaliser and one set of bounds
 * serve both encodings. Fields that nobody looks at are skipped.
 *
 * @throws Error when the bytes are not protobuf
 */
export function decodeExportRequest(bytes: Uint8Array): unknown {
  return { resourceSpans: read(bytes, (f) => f.field === 1 && f.message(resourceSpans)) };
}

/** Writes `ExportTraceServiceResponse`; a response without rejections is empty. */
export function encodeExportResponse(rejected: number, message: string): Uint8Array {
  const writer = new BinaryWriter();
  if (rejected > 0 || message !== "") {
    writer
      .uint32(TAG_1_BYTES)
      .fork()
      .uint32(TAG_1_VARINT)
      .int64(rejected)
      .uint32(TAG_2_BYTES)
      .string(message)
      .join();
  }
  return writer.finish();
}

/** Writes `google.rpc.Status`, which OTLP asks for as the body of an error. */
export function encodeStatus(code: number, message: string): Uint8Array {
  return new BinaryWriter().uint32(TAG_1_VARINT).int32(code).uint32(TAG_2_BYTES).string(message).finish();
}

const TAG_1_VARINT = 8;
const TAG_1_BYTES = 10;
const TAG_2_BYTES = 18;
/** Attribute values nested deeper are cut there. */
const MAX_DEPTH = 8;

interface Field {
  readonly field: number;
  readonly reader: BinaryReader;
  message<T>(decode: (bytes: Uint8Array) => T): T;
}

/** Collects what `take` makes of each field; `false` skips the field. */
function read(bytes: Uint8Array, take: (field: Field) => unknown): unknown[] {
  const reader = new BinaryReader(bytes);
  const taken: unknown[] = [];
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    const before = reader.pos;
    const value = take({ field, reader, message: (decode) => decode(reader.bytes()) });
    if (value === false && reader.pos === before) reader.skip(wire, field);
    else taken.push(value);
  }
  return taken;
}

/** The same into an object: `take` stores by itself and says whether it took the field. */
function into<T extends Record<string, unknown>>(
  bytes: Uint8Array,
  target: T,
  take: (field: Field, target: T) => boolean,
): T {
  read(bytes, (field) => take(field, target));
  return target;
}

function resourceSpans(bytes: Uint8Array): unknown {
  return into(bytes, { resource: {} as unknown, scopeSpans: [] as unknown[] }, (f, t) => {
    if (f.field === 1) t.resource = f.message(resource);
    else if (f.field === 2) t.scopeSpans.push(f.message(scopeSpans));
    else return false;
    return true;
  });
}

function resource(bytes: Uint8Array): unknown {
  return { attributes: read(bytes, (f) => f.field === 1 && f.message((b) => keyValue(b, 0))) };
}

function scopeSpans(bytes: Uint8Array): unknown {
  return { spans: read(bytes, (f) => f.field === 2 && f.message(span)) };
}

function span(bytes: Uint8Array): unknown {
  const empty: Record<string, unknown> & { attributes: unknown[]; events: unknown[] } = {
    attributes: [],
    events: [],
  };
  return into(bytes, empty, (f, t) => {
    if (f.field === 1) t["traceId"] = hex(f.reader.bytes());
    else if (f.field === 2) t["spanId"] = hex(f.reader.bytes());
    else if (f.field === 4) t["parentSpanId"] = hex(f.reader.bytes());
    else if (f.field === 5) t["name"] = f.reader.string();
    else if (f.field === 6) t["kind"] = f.reader.int32();
    else if (f.field === 7) t["startTimeUnixNano"] = String(f.reader.fixed64());
    else if (f.field === 8) t["endTimeUnixNano"] = String(f.reader.fixed64());
    else if (f.field === 9) t.attributes.push(f.message((b) => keyValue(b, 0)));
    else if (f.field === 11) t.events.push(f.message(event));
    else if (f.field === 15) t["status"] = f.message(status);
    else return false;
    return true;
  });
}

function event(bytes: Uint8Array): unknown {
  const empty: Record<string, unknown> & { attributes: unknown[] } = { attributes: [] };
  return into(bytes, empty, (f, t) => {
    if (f.field === 1) t["timeUnixNano"] = String(f.reader.fixed64());
    else if (f.field === 2) t["name"] = f.reader.string();
    else if (f.field === 3) t.attributes.push(f.message((b) => keyValue(b, 0)));
    else return false;
    return true;
  });
}

function status(bytes: Uint8Array): unknown {
  return into(bytes, {} as Record<string, unknown>, (f, t) => {
    if (f.field === 2) t["message"] = f.reader.string();
    else if (f.field === 3) t["code"] = f.reader.int32();
    else return false;
    return true;
  });
}

function keyValue(bytes: Uint8Array, depth: number): unknown {
  return into(bytes, {} as Record<string, unknown>, (f, t) => {
    if (f.field === 1) t["key"] = f.reader.string();
    else if (f.field === 2) t["value"] = f.message((b) => anyValue(b, depth));
    else return false;
    return true;
  });
}

function anyValue(bytes: Uint8Array, depth: number): unknown {
  if (depth > MAX_DEPTH) return { stringValue: "…" };
  const list = (b: Uint8Array) => read(b, (f) => f.field === 1 && f.message((v) => anyValue(v, depth + 1)));
  const map = (b: Uint8Array) => read(b, (f) => f.field === 1 && f.message((v) => keyValue(v, depth + 1)));
  return into(bytes, {} as Record<string, unknown>, (f, t) => {
    if (f.field === 1) t["stringValue"] = f.reader.string();
    else if (f.field === 2) t["boolValue"] = f.reader.bool();
    else if (f.field === 3) t["intValue"] = String(f.reader.int64());
    else if (f.field === 4) t["doubleValue"] = f.reader.double();
    else if (f.field === 5) t["arrayValue"] = { values: f.message(list) };
    else if (f.field === 6) t["kvlistValue"] = { values: f.message(map) };
    else if (f.field === 7) t["bytesValue"] = Buffer.from(f.reader.bytes()).toString("base64");
    else return false;
    return true;
  });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
