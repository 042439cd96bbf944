import { expect, test } from "vitest";
import { EscapeFilter } from "./escape.ts";

function typed(...chunks: string[]) {
  const filter = new EscapeFilter();
  let passed = "";
  for (const chunk of chunks) {
    const { bytes, leaves } = filter.filter(Buffer.from(chunk));
    passed += bytes.toString();
    if (leaves) return { passed, leaves };
  }
  return { passed, leaves: false };
}

test.each([
  ["at once", ["~."], "", true],
  ["after a line", ["ls\r~."], "ls\r", true],
  ["in two pieces", ["ls\r~", "."], "ls\r", true],
  ["not within a line", ["cd ~.\r"], "cd ~.\r", false],
  ["not after another key", ["~a."], "~a.", false],
  ["not when the tilde is typed twice", ["~~."], "~.", false],
  ["not for a path", ["\r~/bin\r"], "\r~/bin\r", false],
])("~. leaves: %s", (_when, chunks, passed, leaves) => {
  expect(typed(...chunks)).toEqual({ passed, leaves });
});
