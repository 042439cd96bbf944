import { invalid } from "../../lib/faults/fault.ts";

const APP = /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const MACHINE = /^[a-z0-9-]{1,63}$/;
const SLUG = /^[a-z][a-z0-9-]{0,62}$/;
const NETWORK = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;
const MAX_TITLE = 200;

/** Returns what is wrong with a name; undefined when it is valid. */
export type NameCheck = (name: string) => string | undefined;

export const checkAppName: NameCheck = check(
  APP,
  "must be 1 to 63 of a-z, 0-9 and hyphens, begin with a letter and not end with a hyphen",
);

export const checkMachineName: NameCheck = check(MACHINE, "must be 1 to 63 of a-z, 0-9 and hyphens");

export const checkSlug: NameCheck = check(
  SLUG,
  "must be 1 to 63 of a-z, 0-9 and hyphens and begin with a letter",
);

export const checkNetwork: NameCheck = check(
  NETWORK,
  "must be 1 to 63 of A-Z, a-z, 0-9 and . _ -, and begin with a letter or digit",
);

export const checkRequestId: NameCheck = check(REQUEST_ID, "must be 1 to 128 of A-Z, a-z, 0-9 and . _ : -");

/** Checks a text for people, e.g. the name of an organisation. It may be empty. */
export const checkTitle: NameCheck = (text) => {
  if (text.length > MAX_TITLE) return `must have at most ${MAX_TITLE} characters`;
  const isPlain = !/\p{Cc}/u.test(text) && text.isWellFormed();
  return isPlain ? undefined : "must be text without control characters";
};

/** @throws Fault INVALID_FIELDS */
export function requireName(field: string, name: string, check: NameCheck): string {
  const description = check(name);
  if (description !== undefined) throw invalid([{ field, description }]);
  return name;
}

/** Makes a name such as `quiet-heron-4821`. @param random returns an integer below its argument */
export function makeMachineName(random: (below: number) => number): string {
  const pick = (words: readonly string[]) => words[random(words.length)] ?? "calm";
  return `${pick(QUALITIES)}-${pick(BIRDS)}-${1000 + random(9000)}`;
}

function check(pattern: RegExp, description: string): NameCheck {
  return (name) => {
    if (name === "") return "is required";
    return pattern.test(name) ? undefined : description;
  };
}

// biome-ignore format: a word list reads better dense
const QUALITIES = [
  "amber", "bold", "brisk", "calm", "clear", "cold", "dawn", "deep", "dusky", "early", "fleet", "gentle", "grey", "high",
  "keen", "late", "light", "lone", "mild", "north", "pale", "proud", "quick", "quiet", "rapid", "red", "silent", "steady",
  "still", "swift", "warm", "wild",
];
// biome-ignore format: a word list reads better dense
const BIRDS = [
  "avocet", "bunting", "crane", "curlew", "dove", "dunlin", "eider", "falcon", "finch", "gannet", "godwit", "goshawk",
  "harrier", "hawk", "heron", "hobby", "ibis", "jay", "kestrel", "kite", "lapwing", "lark", "linnet", "martin", "merlin",
  "osprey", "petrel", "plover", "rook", "swift", "tern", "wren",
];
