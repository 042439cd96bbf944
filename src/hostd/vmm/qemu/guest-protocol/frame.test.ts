import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeFrame, encodeFrame, type Frame, FrameReader, typeOf } from "./frame.ts";

const bodies = fc.uint8Array({ maxLength: 1_200 }).map((bytes) => Buffer.from(bytes));
const zeros = fc.nat(600).map((length) => Buffer.alloc(length));

function readAll(reader: FrameReader, bytes: Buffer, piece: number): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; at += piece) {
    for (const encoded of reader.push(bytes.subarray(at, at + piece))) {
      const frame = decodeFrame(encoded);
      if (frame) frames.push(frame);
    }
  }
  return frames;
}

describe("a frame", () => {
  test("comes out as it went in, however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.nat(255),
        fc.oneof(bodies, zeros),
        fc.integer({ min: 1, max: 700 }),
        (type, body, piece) => {
          const encoded = encodeFrame(type, body);

          expect(encoded.indexOf(0)).toBe(encoded.length - 1);
          expect(readAll(new FrameReader(), encoded, piece)).toEqual([{ type, body }]);
        },
      ),
    );
  });

  test("is encoded as the guest's side does it", () => {
    // CRC-32 of "123456789" is the checksum's own test value.
    expect(encodeFrame(0x31, Buffer.from("23456789")).toString("hex")).toBe("0e3132333435363738392639f4cb00");
    expect(encodeFrame(0, Buffer.of(0)).toString("hex")).toBe("010105ff12d94100");
  });

  test("shows its type before it is decoded", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 255 }), bodies, (type, body) => {
        expect(typeOf(encodeFrame(type, body))).toBe(type);
      }),
    );
    expect(typeOf(encodeFrame(0, Buffer.of(7)))).toBe(0);
    expect(typeOf(Buffer.of())).toBe(0);
  });

  test("follows a broken one as soon as a zero has come", () => {
    const encoded = encodeFrame(7, Buffer.from("hello"));
    for (let cut = 0; cut < encoded.length - 1; cut++) {
      const reader = new FrameReader();

      const bytes = Buffer.concat([encoded.subarray(0, cut), Buffer.of(0), encoded]);

      const frames = readAll(reader, bytes, 3);
      expect(frames.at(-1)).toEqual({ type: 7, body: Buffer.from("hello") });
      expect(frames).toHaveLength(1);
    }
  });

  test("that was damaged is dropped", () => {
    fc.assert(
      fc.property(bodies, fc.nat(), fc.integer({ min: 1, max: 255 }), (body, where, change) => {
        const encoded = encodeFrame(1, body);
        const at = where % (encoded.length - 1);
        encoded[at] = (encoded[at] ?? 0) ^ change;

        expect(readAll(new FrameReader(), encoded, 64)).toEqual([]);
      }),
    );
  });

  test("without end is not kept", () => {
    const reader = new FrameReader();

    const endless = readAll(reader, Buffer.alloc(1024 * 1024, 1), 10_000);

    expect(endless).toEqual([]);
    expect(readAll(reader, Buffer.concat([Buffer.of(0), encodeFrame(2, Buffer.from("x"))]), 5)).toHaveLength(
      1,
    );
  });
});
