import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Json, type JsonObject, merge, residual } from "./json.ts";

const json = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as Json);

describe("what is left", () => {
  test("is nothing of a value that is given back whole", () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(residual(value, value)).toBeUndefined();
      }),
    );
  });

  test("is all of a value of which nothing is given back", () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(residual(value, undefined)).toEqual(value);
      }),
    );
  });

  test("and what is given back make up the whole, whichever members are given back", () => {
    const objects = fc.dictionary(fc.string(), json, { noNullPrototype: true });
    fc.assert(
      fc.property(objects, fc.func(fc.boolean()), (whole, isTyped) => {
        const raw = whole as JsonObject;
        const typed = Object.fromEntries(Object.entries(raw).filter(([name]) => isTyped(name)));

        expect(merge(typed, residual(raw, typed))).toEqual(raw);
      }),
    );
  });

  test("of a list of objects is compared entry by entry", () => {
    const raw = [{ a: 1, b: 2 }, { a: 3 }];

    expect(residual(raw, [{ a: 1 }, { a: 3 }])).toEqual([{ b: 2 }, {}]);
    expect(residual(raw, raw)).toBeUndefined();
  });

  test("is another spelling of the same duration, and no other value", () => {
    expect(residual({ a: "90s", b: "1" }, { a: "1m30s", b: "2" })).toEqual({ a: "90s" });
  });
});

test("a merge takes the typed value where both have one, and entries only where there is one", () => {
  expect(merge({ a: 1, list: [{ x: 1 }] }, { a: 2, b: 3, list: [{ y: 2 }, { x: 9 }] })).toEqual({
    ...{ a: 1, b: 3, list: [{ x: 1, y: 2 }] },
  });
  expect(merge({ t: "1m30s" }, { t: "90s" })).toEqual({ t: "90s" });
  expect(merge({ t: "2m" }, { t: "90s" })).toEqual({ t: "2m" });
});

test("names that every object has are names like any other", () => {
  expect(residual({ constructor: 1, toString: "x" } as unknown as Json, {})).toEqual({
    ...{ constructor: 1, toString: "x" },
  });
  expect(merge({}, { constructor: 1 } as unknown as Json)).toEqual({ constructor: 1 });
});
