import { expect, test } from "vitest";
import { replaceBetween } from "./readme.ts";

const DOCUMENT =
  "# Title\n<!-- start:begin -->\nold\n<!-- start:end -->\nmore\n<!-- other:begin --><!-- other:end -->\n";

test("only what stands between the markers is replaced, and again the next time", () => {
  const once = replaceBetween(DOCUMENT, "start", "new\n");
  expect(once).toBe(DOCUMENT.replace("old", "new"));
  expect(replaceBetween(once, "start", "newer $& $1")).toBe(DOCUMENT.replace("old", () => "newer $& $1"));
});

test("a missing marker is not passed over", () => {
  expect(() => replaceBetween(DOCUMENT, "create", "new")).toThrow("create:begin");
  expect(() => replaceBetween("<!-- a:end --><!-- a:begin -->", "a", "new")).toThrow("a:begin");
});
