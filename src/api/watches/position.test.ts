import fc from "fast-check";
import { expect, test } from "vitest";
import { comparePositions, parsePosition, positionToText } from "./position.ts";

const number = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });
const position = fc.record({ xid: number, place: number });

test("a position is read back as it was written", () => {
  fc.assert(
    fc.property(position, (at) => {
      expect(parsePosition(positionToText(at))).toEqual(at);
    }),
  );
});

test("positions are in the order of transactions, and within one of places", () => {
  fc.assert(
    fc.property(position, position, (a, b) => {
      const order = comparePositions(a, b);

      expect(Math.sign(order)).toBe(-Math.sign(comparePositions(b, a)) + 0);
      expect(order < 0).toBe(a.xid < b.xid || (a.xid === b.xid && a.place < b.place));
    }),
  );
});

test.each(["", "-", "1", "1-", "A-1", "1-1-1", "zzzzzzzzzzzzz-1", "1-zzzzzzzzzzzzz", "1-1\n"])(
  "%j is no position",
  (text) => expect(parsePosition(text)).toBeUndefined(),
);
