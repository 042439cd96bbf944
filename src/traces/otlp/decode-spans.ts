import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { AttributeValue, Span, SpanLink } from "../../lib/latency/span.ts";
import { type EncodedSpan, encode } from "../store/rows.ts";
import { readAttribute } from "./decode-attributes.ts";
import { endOf, messages, readHex, readMicroseconds, skip } from "./message-reader.ts";
import * as limits from "./span-limits.ts";
import { shorten } from "./values.ts";

/** A span while its fields are read. */
interface Draft {
  traceId: string;
  spanId: string;
  parent: string;
  name: string;
  kind: number;
  startUs: number | undefined;
  endUs: number | undefined;
  statusCode: number;
  statusMessage: string;
  readonly attributes: Record<string, AttributeValue>;
  attributeCount: number;
  readonly events: DraftEvent[];
  readonly links: SpanLink[];
  linkCount: number;
}

interface DraftEvent {
  name: string;
  timeUs: number | undefined;
  readonly attributes: Record<string, AttributeValue>;
  attributeCount: number;
}

/**
 * Converts an `ExportTraceServiceRequest`, in one pass. Refuses wrong spans and cuts the others to
 * size, as `normalize` does with JSON.
 *
 * @throws Error when the bytes are not protobuf
 */
export function decodeSpans(
  body: Uint8Array,
  maxSpans: number = limits.MAX_SPANS_PER_REQUEST,
): limits.Normalized {
  // Parts of a Buffer would be Buffers, which are slower to make.
  const reader = new BinaryReader(new Uint8Array(body.buffer, body.byteOffset, body.byteLength));
  const spans: EncodedSpan[] = [];
  const problems = new Set<string>();
  let rejected = 0;
  for (const end of messages(reader, reader.len, 1)) {
    // The resource may come after its spans.
    const resource = readResource(reader, end);
    for (const endOfScope of messages(reader, end, 2)) {
      for (const endOfSpan of messages(reader, endOfScope, 2)) {
        const isOver = spans.length + rejected >= maxSpans;
        const draft = isOver ? undefined : readSpan(reader, endOfSpan);
        const problem = draft ? defect(draft) : limits.tooMany(maxSpans);
        if (draft && problem === undefined) spans.push(encode(toSpan(draft, resource)));
        else {
          rejected += 1;
          problems.add(problem ?? "");
        }
        reader.pos = endOfSpan;
      }
    }
  }
  return { spans, rejected, problems: [...problems] };
}

/** Reads the resource of a `ResourceSpans`, and goes back to its begin. */
function readResource(reader: BinaryReader, end: number): limits.Resource {
  const begin = reader.pos;
  let attributes: Record<string, AttributeValue> = {};
  for (const endOfResource of messages(reader, end, 1)) {
    attributes = {};
    let count = 0;
    for (const endOfAttribute of messages(reader, endOfResource, 1)) {
      count += readAttribute(reader, endOfAttribute, attributes, count);
    }
  }
  reader.pos = begin;
  return limits.resourceOf(attributes);
}

function readSpan(reader: BinaryReader, end: number): Draft {
  const draft: Draft = {
    ...{ traceId: "", spanId: "", parent: "", name: "", kind: 0, startUs: undefined, endUs: undefined },
    ...{ statusCode: 0, statusMessage: "", attributes: {}, attributeCount: 0, events: [], links: [] },
    linkCount: 0,
  };
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (wireType === WireType.LengthDelimited && readLong(draft, number, reader, end)) continue;
    if (wireType === WireType.Bit64 && number === 7) draft.startUs = readMicroseconds(reader);
    else if (wireType === WireType.Bit64 && number === 8) draft.endUs = readMicroseconds(reader);
    else if (wireType === WireType.Varint && number === 6) draft.kind = reader.int32();
    else skip(reader, end, wireType, number);
  }
  if (reader.pos !== end) throw new RangeError("a field is longer than its message");
  return draft;
}

/** Reads a field of a span that has a length. Returns whether it knows it. */
function readLong(draft: Draft, number: number, reader: BinaryReader, limit: number): boolean {
  switch (number) {
    case 1:
      draft.traceId = readHex(reader);
      return true;
    case 2:
      draft.spanId = readHex(reader);
      return true;
    case 4:
      draft.parent = readHex(reader);
      return true;
    case 5:
      draft.name = reader.string();
      return true;
    case 9:
      draft.attributeCount += readAttribute(
        reader,
        endOf(reader, limit),
        draft.attributes,
        draft.attributeCount,
      );
      return true;
    case 11:
      readEvent(draft, reader, endOf(reader, limit));
      return true;
    case 13:
      readLink(draft, reader, endOf(reader, limit));
      return true;
    case 15:
      readStatus(draft, reader, endOf(reader, limit));
      return true;
    default:
      return false;
  }
}

function readEvent(draft: Draft, reader: BinaryReader, end: number): void {
  if (draft.events.length >= limits.MAX_EVENTS) {
    reader.pos = end;
    return;
  }
  const event: DraftEvent = { name: "", timeUs: undefined, attributes: {}, attributeCount: 0 };
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (number === 1 && wireType === WireType.Bit64) event.timeUs = readMicroseconds(reader);
    else if (number === 2 && wireType === WireType.LengthDelimited) event.name = reader.string();
    else if (number === 3 && wireType === WireType.LengthDelimited) {
      const endOfAttribute = endOf(reader, end);
      event.attributeCount += readAttribute(reader, endOfAttribute, event.attributes, event.attributeCount);
    } else skip(reader, end, wireType, number);
  }
  draft.events.push(event);
}

function readLink(draft: Draft, reader: BinaryReader, end: number): void {
  draft.linkCount += 1;
  let [traceId, spanId] = ["", ""];
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (number === 1 && wireType === WireType.LengthDelimited) traceId = readHex(reader);
    else if (number === 2 && wireType === WireType.LengthDelimited) spanId = readHex(reader);
    else skip(reader, end, wireType, number);
  }
  if (draft.linkCount > limits.MAX_LINKS || !isId(traceId, 32) || !isId(spanId, 16)) return;
  draft.links.push({ trace_id: traceId, span_id: spanId });
}

function readStatus(draft: Draft, reader: BinaryReader, end: number): void {
  [draft.statusCode, draft.statusMessage] = [0, ""];
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (number === 2 && wireType === WireType.LengthDelimited) draft.statusMessage = reader.string();
    else if (number === 3 && wireType === WireType.Varint) draft.statusCode = reader.int32();
    else skip(reader, end, wireType, number);
  }
}

function defect({ traceId, spanId, parent, startUs, endUs }: Draft): string | undefined {
  if (!isId(traceId, 32)) return limits.PROBLEMS.traceId;
  if (!isId(spanId, 16)) return limits.PROBLEMS.spanId;
  if (parent !== "" && parent.length !== 16) return limits.PROBLEMS.parent;
  if (startUs === undefined) return limits.PROBLEMS.start;
  if (endUs === undefined) return limits.PROBLEMS.end;
  return undefined;
}

/** Converts a span in which {@link defect} has found nothing wrong. */
function toSpan(draft: Draft, resource: limits.Resource): Span {
  const { parent, startUs = 0, endUs = 0, events, links, statusMessage } = draft;
  return {
    trace_id: draft.traceId,
    span_id: draft.spanId,
    ...(parent === "" || isZero(parent) ? undefined : { parent_span_id: parent }),
    name: limits.nameOf(draft.name),
    ...resource,
    kind: limits.KINDS[draft.kind] ?? "internal",
    start_us: startUs,
    duration_us: Math.max(0, endUs - startUs),
    status: limits.STATUSES[draft.statusCode] ?? "unset",
    ...(statusMessage === "" ? undefined : { status_message: shorten(statusMessage, limits.MAX_MESSAGE) }),
    attributes: draft.attributes,
    ...(events.length === 0
      ? undefined
      : {
          events: events.map(({ name, timeUs, attributes }) => ({
            name: limits.nameOf(name),
            time_us: timeUs ?? startUs,
            attributes,
          })),
        }),
    ...(links.length === 0 ? undefined : { links }),
  };
}

function isId(hex: string, digits: number): boolean {
  return hex.length === digits && !isZero(hex);
}

function isZero(hex: string): boolean {
  return /^0*$/.test(hex);
}
