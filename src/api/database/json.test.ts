import { expect, test } from "vitest";
import { toJson } from "./json.ts";

test.each([
  ["plain", { a: ["b", 1, null], "\\u0000": "\\ud800" }, '{"a":["b",1,null],"\\\\u0000":"\\\\ud800"}'],
  ["NUL", { a: ["x\0y"] }, '{"a":["x\ufffdy"]}'],
  ["a lone surrogate", ["\ud83d", "\ude00 "], '["\ufffd","\ufffd "]'],
  ["a pair of surrogates", ["\ud83d\ude00"], '["\ud83d\ude00"]'],
  ["both in one text", "\0\udfff", '"\ufffd\ufffd"'],
])("what jsonb takes: %s", (_what, value, text) => {
  expect(toJson(value)).toBe(text);
});
