import { expect, test } from "vitest";
import { imageHints } from "./image-hints.ts";

/** A digest that begins so, in hexadecimal. */
const digest = (start: number) => `sha256:${start.toString(16).padStart(8, "0")}${"e".repeat(56)}`;

test("a hint is the first four bytes of a digest, in any order of images", () => {
  const [low, high] = [digest(0x0000_00ff), digest(0xff00_0000)];

  expect(
    imageHints(
      new Map([
        [high, 1],
        [low, 2],
      ]),
    ),
  ).toEqual([0x0000_00ff, 0xff00_0000]);
  expect(
    imageHints(
      new Map([
        [low, 5],
        [high, 9],
      ]),
    ),
  ).toEqual([0x0000_00ff, 0xff00_0000]);
});

test("a digest of another kind has no hint", () => {
  expect(imageHints(new Map([["sha512:00ff00ff", 1]]))).toEqual([]);
});

test("of more than 4,096 images those used last have hints", () => {
  const usedLast = Array.from({ length: 4_096 }, (_, i) => i * 2);
  const others = Array.from({ length: 1_000 }, (_, i) => i * 2 + 1);
  const lastUsed = new Map([
    ...others.map((start) => [digest(start), 7] as const),
    ...usedLast.map((start) => [digest(start), 8] as const),
  ]);

  expect(imageHints(lastUsed)).toEqual(usedLast);
});
