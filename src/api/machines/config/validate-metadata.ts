import { bytes, type Check, CONTROL, isPlain, PLAIN, printable } from "./text.ts";

export const MAX_METADATA_ENTRIES = 64;
const MAX_KEY_BYTES = 128;
const MAX_VALUE_BYTES = 2048;

/** Checks entries of metadata, each named `name[key]`. */
export function checkMetadata(name: string, metadata: Readonly<Record<string, string>>, check: Check): void {
  const entries = Object.entries(metadata);
  const [{ length }, max] = [entries, MAX_METADATA_ENTRIES];
  check(length <= max, name, `must have at most ${max} entries, not ${length}`);
  for (const [key, value] of length <= max ? entries : []) {
    const field = `${name}[${printable(key)}]`;
    checkKey(field, key, check);
    check(bytes(value) <= MAX_VALUE_BYTES, field, `must have at most ${MAX_VALUE_BYTES} bytes`);
    check(isPlain(value), field, PLAIN);
  }
}

export function checkKey(field: string, key: string, check: Check): void {
  const isKey = key !== "" && bytes(key) <= MAX_KEY_BYTES;
  check(isKey, field, `the key must have 1 to ${MAX_KEY_BYTES} bytes`);
  check(!CONTROL.test(key) && key.isWellFormed(), field, "the key must have no control characters");
}
