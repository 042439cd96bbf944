import { expect, test } from "vitest";
import { plainQuery } from "./plain-query.ts";

test.each([
  [
    { state: "started", limit: "1" },
    { state: "started", limit: "1" },
  ],
  [{ "state[0]": "started", "state[1]": "stopped" }, { state: ["started", "stopped"] }],
  [{ "state[]": ["started", "stopped"], state: "created" }, { state: ["started", "stopped", "created"] }],
  [
    { "metadata[role]": "web", "metadata.tier": "1" },
    { "metadata.role": "web", "metadata.tier": "1" },
  ],
  [
    { "a[b][c]": "1", "]": "2", "[0]": "3" },
    { "a[b][c]": "1", "]": "2", "[0]": "3" },
  ],
])("the query %j is %j", (given, plain) => {
  expect(plainQuery(given)).toEqual(plain);
});

test("a query cannot set what objects have from JavaScript", () => {
  const plain = plainQuery(JSON.parse('{"__proto__[]": "x", "constructor[0]": "y"}'));

  expect(Object.getPrototypeOf(plain)).toBe(Object.prototype);
  expect(Object.keys(plain)).toEqual(["__proto__", "constructor"]);
});
