import fc from "fast-check";
import { expect, test } from "vitest";
import { isModest, outerKeys } from "./json-scan.ts";

test("the outermost fields of any object are found", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 1, "\t"), (object, space) => {
      const keys = Object.keys(JSON.parse(JSON.stringify(object)) as object);
      expect(outerKeys(Buffer.from(JSON.stringify(object, undefined, space))).sort()).toEqual(keys.sort());
    }),
  );
});

test("a field that is there twice is found twice, however it is written", () => {
  expect(outerKeys(Buffer.from(`{"a": {"b": 1}, "c"${" ".repeat(100)}: ["d"], "\\u0061": "e\\":"}`))).toEqual(
    ["a", "c", "a"],
  );
});

test("documents are modest by their values and their nesting, whatever their strings have", () => {
  const isFine = (value: unknown, values: number, depth: number) =>
    isModest(Buffer.from(JSON.stringify(value)), values, depth);
  const nested = { a: [1, [2, { 'b,\\"': 'c:[\\"' }]] };

  expect([isFine(nested, 9, 4), isFine(nested, 8, 4), isFine(nested, 9, 3)]).toEqual([true, false, false]);
  expect(isFine('[[[,,,\\"', 1, 0)).toBe(true);
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect([isFine([text], 2, 1), isFine([text, [text]], 3, 2)]).toEqual([true, false]);
    }),
  );
});
