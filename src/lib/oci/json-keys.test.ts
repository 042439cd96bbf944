import fc from "fast-check";
import { expect, test } from "vitest";
import { outerKeys } from "./json-keys.ts";

test("the outermost fields of any object are found", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 1, "\t"), (object, space) => {
      const keys = Object.keys(JSON.parse(JSON.stringify(object)) as object);
      expect(outerKeys(JSON.stringify(object, undefined, space)).sort()).toEqual(keys.sort());
    }),
  );
});

test("a field that is there twice is found twice, however it is written", () => {
  expect(outerKeys('{"a": {"b": 1}, "c" : ["d"], "\\u0061": "e\\":"}')).toEqual(["a", "c", "a"]);
});
