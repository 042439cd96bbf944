import fc from "fast-check";
import { expect, test } from "vitest";
import { isModest, repeatsField } from "./json-scan.ts";

test("no field is there twice in what is written from values, whatever its strings have", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 1, "\t"), (value, space) => {
      expect(repeatsField(Buffer.from(JSON.stringify(value, undefined, space)))).toBe(false);
    }),
  );
});

test.each([
  `{"a": {"b": 1}, "c"${" ".repeat(100)}: ["d"], "\\u0061": "e\\":"}`,
  '[1, {"a": [{"b": {}, "c": "b", "b": {}}]}]',
  '{"__proto__": 1, "__proto__": 2}',
])("a field that is there twice is found, wherever it is and however it is written: %s", (text) => {
  expect(repeatsField(Buffer.from(text))).toBe(true);
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
