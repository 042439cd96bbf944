import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { splitWords } from "./words.ts";

test.each([
  ["ls -la /tmp", ["ls", "-la", "/tmp"]],
  [`sh -c "echo 'a b' \\"c\\""`, ["sh", "-c", `echo 'a b' "c"`]],
  [`echo ''  ""`, ["echo", "", ""]],
  ["a\\ b c\\\\", ["a b", "c\\"]],
  [`echo "\\n"`, ["echo", "\\n"]],
  ["echo $HOME * ~ #x", ["echo", "$HOME", "*", "~", "#x"]],
  ["  \t ", []],
  [`x'y'"z"`, ["xyz"]],
])("%s is %j", (text, words) => {
  expect(splitWords(text)).toEqual(words);
});

test.each([`echo "a`, "echo 'a", `a "b' c`])("%s has a quote that is not closed", (text) => {
  expect(splitWords(text)).toBeUndefined();
});

test("words are those of a shell, for texts in which it expands nothing", () => {
  const plain = fc.stringMatching(/^[ab \t'"\\]{0,12}$/);
  fc.assert(
    fc.property(plain, (text) => {
      const words = splitWords(text);
      fc.pre(words !== undefined && !text.endsWith("\\"));

      const seen = execFileSync("/bin/sh", ["-c", `for w in ${text}\ndo printf '%s\\0' "$w"; done`]);

      expect(seen.toString().split("\0").slice(0, -1)).toEqual(words);
    }),
    { numRuns: 60 },
  );
});
