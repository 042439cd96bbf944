import { pipeline, Readable } from "node:stream";
import { constants, createZstdDecompress, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ZstdFrames } from "./zstd-frames.ts";

/** Unpacks what arrives in pieces of a size. */
async function unpack(packed: Buffer, piece: number): Promise<Buffer> {
  const frames = new ZstdFrames();
  const cut = async function* () {
    for (let at = 0; at < packed.length; at += piece) yield* frames.push(packed.subarray(at, at + piece));
  };
  const parts: Buffer[] = [];
  const decompress = createZstdDecompress();
  pipeline(Readable.from(cut()), decompress, () => undefined);
  for await (const part of decompress as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

/** A frame that decoders pass over. */
function skippable(length: number): Buffer {
  const frame = Buffer.alloc(8 + length, 7);
  frame.writeUInt32LE(0x184d2a57, 0);
  frame.writeUInt32LE(length, 4);
  return frame;
}

const content = fc.oneof(
  fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
  fc.nat(400_000).map((length) => Buffer.alloc(length, "abc")),
);
const frame = fc.record({ content, checksum: fc.boolean(), before: fc.option(fc.nat(50)) });

test("all frames of all kinds are unpacked, in whatever pieces they arrive", {
  timeout: 60_000,
}, async () => {
  const property = fc.asyncProperty(
    fc.array(frame, { minLength: 1, maxLength: 6 }),
    fc.constantFrom(1, 7, 1000, 65_536, 10_000_000),
    async (frames, piece) => {
      const packed = frames.flatMap(({ content: bytes, checksum, before }) => [
        ...(before === null ? [] : [skippable(before)]),
        zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: Number(checksum) } }),
      ]);
      const unpacked = await unpack(Buffer.concat(packed), piece);
      expect(unpacked.equals(Buffer.concat(frames.map((each) => each.content)))).toBe(true);
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

test("what follows the last frame and is none is an error", async () => {
  const packed = Buffer.concat([zstdCompressSync(Buffer.from("x")), Buffer.from("more")]);

  await expect(unpack(packed, 1000)).rejects.toMatchObject({ reason: "LAYER_CORRUPT" });
});

test("a frame that ends early is an error, also when it is the second", async () => {
  const whole = zstdCompressSync(Buffer.alloc(1000, "abc"));

  await expect(unpack(Buffer.concat([whole, whole.subarray(0, -3)]), 1000)).rejects.toThrow(
    "unexpected end of file",
  );
});
