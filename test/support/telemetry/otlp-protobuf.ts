import { BinaryWriter } from "@bufbuild/protobuf/wire";

/** An `AnyValue` of OTLP/JSON. */
export interface RawValue {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: string | number;
  readonly doubleValue?: number;
  readonly bytesValue?: string;
  readonly arrayValue?: { readonly values: readonly RawValue[] };
  readonly kvlistValue?: { readonly values: readonly RawAttribute[] };
}

export interface RawAttribute {
  readonly key: string;
  readonly value: RawValue;
}

/** A span of OTLP/JSON. */
export interface RawSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name?: string;
  readonly kind?: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly RawAttribute[];
  readonly events?: readonly {
    readonly timeUnixNano: string;
    readonly name: string;
    readonly attributes?: readonly RawAttribute[];
  }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status?: { readonly code?: number; readonly message?: string };
}

/** An `ExportTraceServiceRequest` of OTLP/JSON. */
export interface RawRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly RawAttribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly RawSpan[] }[];
  }[];
}

const VARINT = 0;
const BIT64 = 1;
const BYTES = 2;

/** Writes an export request of OTLP/JSON as protobuf. */
export function encodeExportRequest(request: RawRequest): Uint8Array {
  const writer = new BinaryWriter();
  for (const { resource, scopeSpans } of request.resourceSpans) {
    open(writer, 1);
    open(writer, 1);
    writeAttributes(writer, 1, resource.attributes);
    writer.join();
    for (const { spans } of scopeSpans) {
      open(writer, 2);
      for (const span of spans) writeSpan(writer, span);
      writer.join();
    }
    writer.join();
  }
  return writer.finish();
}

function writeSpan(writer: BinaryWriter, span: RawSpan): void {
  open(writer, 2);
  tag(writer, 1, BYTES).bytes(Buffer.from(span.traceId, "hex"));
  tag(writer, 2, BYTES).bytes(Buffer.from(span.spanId, "hex"));
  if (span.parentSpanId) tag(writer, 4, BYTES).bytes(Buffer.from(span.parentSpanId, "hex"));
  tag(writer, 5, BYTES).string(span.name ?? "");
  tag(writer, 6, VARINT).int32(span.kind ?? 0);
  tag(writer, 7, BIT64).fixed64(span.startTimeUnixNano);
  tag(writer, 8, BIT64).fixed64(span.endTimeUnixNano);
  writeAttributes(writer, 9, span.attributes ?? []);
  for (const { timeUnixNano, name, attributes = [] } of span.events ?? []) {
    open(writer, 11);
    tag(writer, 1, BIT64).fixed64(timeUnixNano);
    tag(writer, 2, BYTES).string(name);
    writeAttributes(writer, 3, attributes);
    writer.join();
  }
  for (const { traceId, spanId } of span.links ?? []) {
    open(writer, 13);
    tag(writer, 1, BYTES).bytes(Buffer.from(traceId, "hex"));
    tag(writer, 2, BYTES).bytes(Buffer.from(spanId, "hex"));
    writer.join();
  }
  if (span.status) {
    open(writer, 15);
    tag(writer, 2, BYTES).string(span.status.message ?? "");
    tag(writer, 3, VARINT).int32(span.status.code ?? 0);
    writer.join();
  }
  writer.join();
}

function writeAttributes(writer: BinaryWriter, field: number, attributes: readonly RawAttribute[]): void {
  for (const { key, value } of attributes) {
    open(writer, field);
    tag(writer, 1, BYTES).string(key);
    open(writer, 2);
    writeValue(writer, value);
    writer.join().join();
  }
}

function writeValue(writer: BinaryWriter, value: RawValue): void {
  if (value.stringValue !== undefined) tag(writer, 1, BYTES).string(value.stringValue);
  if (value.boolValue !== undefined) tag(writer, 2, VARINT).bool(value.boolValue);
  if (value.intValue !== undefined) tag(writer, 3, VARINT).int64(String(value.intValue));
  if (value.doubleValue !== undefined) tag(writer, 4, BIT64).double(value.doubleValue);
  if (value.arrayValue) {
    open(writer, 5);
    for (const each of value.arrayValue.values) {
      open(writer, 1);
      writeValue(writer, each);
      writer.join();
    }
    writer.join();
  }
  if (value.kvlistValue) {
    open(writer, 6);
    writeAttributes(writer, 1, value.kvlistValue.values);
    writer.join();
  }
  if (value.bytesValue !== undefined) tag(writer, 7, BYTES).bytes(Buffer.from(value.bytesValue, "base64"));
}

function open(writer: BinaryWriter, field: number): void {
  tag(writer, field, BYTES).fork();
}

function tag(writer: BinaryWriter, field: number, wireType: number): BinaryWriter {
  return writer.uint32((field << 3) | wireType);
}
