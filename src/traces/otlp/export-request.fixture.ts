import { decode, KEY_VALUE, type Message } from "./any-value.ts";

const attributes = { name: "attributes", list: true, message: () => KEY_VALUE } as const;
const text: Message[number] = { name: "", read: (reader) => reader.string() };
const fixed64: Message[number] = { name: "", read: (reader) => String(reader.fixed64()) };
const hex: Message[number] = { name: "", read: (reader) => Buffer.from(reader.bytes()).toString("hex") };
const int32: Message[number] = { name: "", read: (reader) => reader.int32() };
const EVENT: Message = {
  1: { ...fixed64, name: "timeUnixNano" },
  2: { ...text, name: "name" },
  3: attributes,
};
const STATUS: Message = { 2: { ...text, name: "message" }, 3: { ...int32, name: "code" } };
const LINK: Message = { 1: { ...hex, name: "traceId" }, 2: { ...hex, name: "spanId" } };
const SPAN: Message = {
  1: { ...hex, name: "traceId" },
  2: { ...hex, name: "spanId" },
  4: { ...hex, name: "parentSpanId" },
  5: { ...text, name: "name" },
  6: { ...int32, name: "kind" },
  7: { ...fixed64, name: "startTimeUnixNano" },
  8: { ...fixed64, name: "endTimeUnixNano" },
  9: attributes,
  11: { name: "events", list: true, message: () => EVENT },
  13: { name: "links", list: true, message: () => LINK },
  15: { name: "status", message: () => STATUS },
};
const SCOPE_SPANS: Message = { 2: { name: "spans", list: true, message: () => SPAN } };
const RESOURCE_SPANS: Message = {
  1: { name: "resource", message: () => ({ 1: attributes }) },
  2: { name: "scopeSpans", list: true, message: () => SCOPE_SPANS },
};

/** Reads an `ExportTraceServiceRequest` into the shape that OTLP/JSON gives it: slow, and easy to check. */
export function decodeExportRequest(bytes: Uint8Array): unknown {
  return decode(bytes, { 1: { name: "resourceSpans", list: true, message: () => RESOURCE_SPANS } });
}
