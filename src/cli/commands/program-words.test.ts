import { Option } from "commander";
import { expect, test } from "vitest";
import { separateProgram } from "./program-words.ts";

const OPTIONS = [
  new Option("-a, --app <app>"),
  new Option("-n, --name <name>"),
  new Option("-j, --json"),
  new Option("--pack"),
];

test.each([
  ["an image alone", "nginx", "nginx"],
  ["flags before the image", "-a x nginx echo -n hi", "-a x nginx -- echo -n hi"],
  ["flags behind the image", "nginx -a x echo -n hi", "nginx -a x -- echo -n hi"],
  ["flags on both sides", "--json -a x nginx --pack echo --json", "--json -a x nginx --pack -- echo --json"],
  ["values behind =", "nginx --app=x --name=y echo", "nginx --app=x --name=y -- echo"],
  ["values in the same word", "nginx -ax echo -ay", "nginx -ax -- echo -ay"],
  ["short flags in one", "nginx -ja x echo", "nginx -ja x -- echo"],
  ["a value that looks like a word of the program", "nginx -n echo echo", "nginx -n echo -- echo"],
  ["--", "nginx -a x -- -n hi", "nginx -a x -- -n hi"],
  ["-- of the program", "nginx sh -c true -- a", "nginx -- sh -c true -- a"],
  ["-- before the image", "-a x -- nginx -n hi", "-a x -- nginx -n hi"],
  ["a dash, and a negative number", "busybox - -a x", "busybox -- - -a x"],
  ["a number of the program", "busybox -5 -a x", "busybox -- -5 -a x"],
  ["an empty word", "nginx '' -a", "nginx -- '' -a"],
  ["an unknown flag", "nginx -z -a x echo", "nginx -z -a x -- echo"],
])("%s: all from the second word on is the program's", (_what, typed, separated) => {
  const words = (line: string): string[] => line.split(" ").map((word) => (word === "''" ? "" : word));

  expect(separateProgram(words(typed), OPTIONS)).toEqual(words(separated));
});
