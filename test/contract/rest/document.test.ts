import { expect, test } from "vitest";
import { answerOf, differences, withNames } from "./document.ts";

test("an answer is its status line and its JSON, of a document and of curl", () => {
  const body = { ok: true, list: [1] };

  expect(answerOf(["HTTP/1.1 200 OK", "{", '  "ok": true, "list": [1]', "}"])).toEqual({
    status: "HTTP/1.1 200 OK",
    body,
  });
  expect(answerOf(["HTTP/1.1 200 OK\r", "date: today\r", "\r", '{"ok":true,"list":[1]}'])).toEqual({
    status: "HTTP/1.1 200 OK",
    body,
  });
  expect(answerOf(["HTTP/1.1 204 No Content", "", ""])).toEqual({
    status: "HTTP/1.1 204 No Content",
    body: undefined,
  });
});

test("an answer may have more than is shown, and nothing else in its place", () => {
  const actual = { a: 1, list: [{ x: "y", z: 2 }, 3], more: true };

  expect(differences({ a: 1, list: [{ x: "y" }] }, actual, new Map())).toEqual([]);
  expect(differences({ a: 2, list: [{ x: "z" }], b: 1 }, actual, new Map())).toEqual([
    "the answer.a is 1, not 2",
    'the answer.list[0].x is "y", not "z"',
    "the answer.b is undefined, not 1",
  ]);
});

test("ids of the document stand for those of the run, everywhere the same", () => {
  const names = new Map<string, string>();
  const [shown, other] = ["148ed599c14189", "0000aaaaaaaaaa"];

  expect(differences({ id: shown }, { id: other }, names)).toEqual([]);
  expect(withNames(`/machines/${shown}/stop`, names)).toBe(`/machines/${other}/stop`);
  expect(differences({ id: shown }, { id: "0000bbbbbbbbbb" }, names)).toHaveLength(1);
});
