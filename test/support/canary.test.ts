import { expect, test } from "vitest";
import { Canaries } from "./canary.ts";

test("a secret is found in every form, wherever it stands", () => {
  const canaries = new Canaries();
  const secret = canaries.secret("s");
  const other = canaries.secret("other");
  const base64 = (before: string) => Buffer.from(`${before}${secret}@and more`).toString("base64");

  expect(canaries.findIn(`x ${secret}.`)).toEqual(["s"]);
  for (const before of ["", "a", "ab", "abc", "kestrel:"])
    expect(canaries.findIn(JSON.stringify({ auth: base64(before) }))).toEqual(["s (base64)"]);
  expect(canaries.findIn(Buffer.from(secret).toString("hex"))).toEqual(["s (hex)"]);
  expect(canaries.findIn(Buffer.from(`\0${other}\0${secret}`))).toEqual(["s", "other"]);
  expect(canaries.findIn(secret.slice(0, -1))).toEqual([]);
});
