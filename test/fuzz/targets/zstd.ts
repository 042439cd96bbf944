import { ZstdFrames } from "../../../src/imagecache/squashfs/zstd-frames.ts";
import { blaming, hold, type Target } from "../target.ts";

const MAGIC = Buffer.from("28b52ffd", "hex");

export const zstdTarget: Target = {
  name: "zstd",
  words: [
    MAGIC,
    Buffer.from("502a4d18", "hex"),
    Buffer.from("5f2a4d1804000000", "hex"),
    Buffer.from([1, 0, 0]),
  ],
  run: (input) => {
    const whole = blaming(() => cut(input, input.length));
    const pieces = blaming(() => cut(input, 1 + (input.at(-1) ?? 0)));
    hold((whole === undefined) === (pieces === undefined), "frames are the same in pieces");
    if (whole === undefined || pieces === undefined) return;
    hold(Buffer.concat(whole).equals(input), "no byte is lost");
    hold(Buffer.concat(pieces).equals(input), "no byte is lost in pieces");
    const ends = new Set(endsOf(pieces));
    hold(
      endsOf(whole).every((end) => ends.has(end)),
      "frames end where they end in pieces",
    );
    hold(
      whole.every((part) => part.length > 0),
      "no part is empty",
    );
  },
};

function cut(input: Buffer, piece: number): Buffer[] {
  const frames = new ZstdFrames();
  const parts: Buffer[] = [];
  for (let at = 0; at < input.length; at += piece) parts.push(...frames.push(input.subarray(at, at + piece)));
  return parts;
}

function endsOf(parts: readonly Buffer[]): number[] {
  let at = 0;
  return parts.map((part) => (at += part.length));
}
