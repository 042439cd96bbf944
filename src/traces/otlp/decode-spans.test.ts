import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeExportRequest, type RawRequest } from "../../../test/support/telemetry/otlp-protobuf.ts";
import { decodeSpans } from "./decode-spans.ts";
import { decodeExportRequest } from "./export-request.fixture.ts";
import { normalize } from "./normalize.ts";

const { value: anyValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.record({ stringValue: fc.string({ unit: "binary", maxLength: 20 }) }),
    fc.record({ boolValue: fc.boolean() }),
    fc.record({ intValue: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String) }),
    fc.record({ doubleValue: fc.double() }),
    fc.record({ bytesValue: fc.constant("AAEC") }),
    fc.constant({}),
    fc.record({ arrayValue: fc.record({ values: fc.array(tie("value"), { maxLength: 3 }) }) }),
    fc.record({
      kvlistValue: fc.record({
        values: fc.array(fc.record({ key: fc.string(), value: tie("value") }), { maxLength: 3 }),
      }),
    }),
  ),
}));
const key = fc.oneof(fc.string({ maxLength: 12 }), fc.constantFrom("__proto__", "service.name", ""));
const attributes = fc.array(fc.record({ key, value: anyValue }), { maxLength: 6 });
const hex = (bytes: number) =>
  fc.oneof(
    { weight: 8, arbitrary: fc.uint8Array({ minLength: bytes, maxLength: bytes }) },
    fc.constant(new Uint8Array(bytes)),
    fc.uint8Array({ maxLength: 20 }),
  );
const id = (bytes: number) => hex(bytes).map((of) => Buffer.from(of).toString("hex"));
const nanos = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
const span = fc.record(
  {
    traceId: id(16),
    spanId: id(8),
    parentSpanId: id(8),
    name: fc.string({ maxLength: 300 }),
    kind: fc.integer({ min: -1, max: 7 }),
    startTimeUnixNano: fc.oneof(nanos, fc.constant("1764000000123456789")),
    endTimeUnixNano: fc.oneof(nanos, fc.constant("1764000000223456789")),
    attributes,
    events: fc.array(fc.record({ timeUnixNano: nanos, name: fc.string(), attributes }), { maxLength: 3 }),
    links: fc.array(fc.record({ traceId: id(16), spanId: id(8) }), { maxLength: 3 }),
    status: fc.record({ code: fc.integer({ min: 0, max: 4 }), message: fc.string() }),
  },
  { requiredKeys: ["traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano"] },
);
const request = fc.record({
  resourceSpans: fc.array(
    fc.record({
      resource: fc.record({ attributes }),
      scopeSpans: fc.array(fc.record({ spans: fc.array(span, { maxLength: 4 }) }), { maxLength: 2 }),
    }),
    { maxLength: 3 },
  ),
});

describe("an export request as protobuf", () => {
  test("has the same spans and problems as the same as JSON", () => {
    fc.assert(
      fc.property(request, fc.integer({ min: 1, max: 6 }), (raw, maxSpans) => {
        // Made of what the types allow, but for the shape of values.
        const bytes = encodeExportRequest(raw as RawRequest);

        const decoded = decodeSpans(bytes, maxSpans);

        expect(decoded).toEqual(normalize(decodeExportRequest(bytes), maxSpans));
        for (const { span: each, json } of decoded.spans) expect(JSON.parse(json)).toEqual(each);
      }),
      { numRuns: 300 },
    );
  });

  test("that was cut or changed anywhere is refused or read, and breaks nothing", () => {
    const bytes = encodeExportRequest({
      resourceSpans: [
        {
          resource: { attributes: [{ key: "service.name", value: { stringValue: "hostd" } }] },
          scopeSpans: [
            {
              spans: [
                {
                  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
                  spanId: "00f067aa0ba902b7",
                  startTimeUnixNano: "1764000000000000000",
                  endTimeUnixNano: "1764000000001500000",
                  attributes: [{ key: "list", value: { arrayValue: { values: [{ intValue: 7 }] } } }],
                  status: { code: 2, message: "no luck" },
                },
              ],
            },
          ],
        },
      ],
    });
    let read = 0;
    for (let at = 0; at < bytes.length; at++) {
      for (const changed of [bytes.subarray(0, at), bytes.with(at, 0xff), bytes.with(at, 0x7f)]) {
        try {
          read += decodeSpans(changed).spans.length;
        } catch (err) {
          // What a reader of wrong lengths throws.
          expect(err).toBeInstanceOf(Error);
        }
      }
    }
    expect(decodeSpans(bytes).spans).toHaveLength(1);
    expect(read).toBeGreaterThan(0);
  });
});
