import type { Violations } from "../../../lib/faults/violations.ts";
import { bytes, type Check, CONTROL, isPlain, PLAIN, printable } from "./text.ts";

export const MAX_METADATA_ENTRIES = 64;
const MAX_KEY_BYTES = 128;
const MAX_VALUE_BYTES = 2048;
const MAX_FILTER_BYTES = 32 * 1_024;

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

/** Checks entries of metadata that a request selects machines by, as its field `metadata`. */
export function checkMetadataFilter(metadata: ReadonlyMap<string, string>, violations: Violations): void {
  const isFew = metadata.size <= MAX_METADATA_ENTRIES;
  violations.check(isFew, "metadata", `must have at most ${MAX_METADATA_ENTRIES} entries`);
  const areTexts = [...metadata].flat().every((text) => !text.includes("\0") && text.isWellFormed());
  violations.check(areTexts, "metadata", "must not have NUL or other characters that are no text");
  const length = [...metadata].reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  violations.check(length <= MAX_FILTER_BYTES, "metadata", "must have at most 32 KiB");
}

export function checkKey(field: string, key: string, check: Check): void {
  const isKey = key !== "" && bytes(key) <= MAX_KEY_BYTES;
  check(isKey, field, `the key must have 1 to ${MAX_KEY_BYTES} bytes`);
  check(!CONTROL.test(key) && key.isWellFormed(), field, "the key must have no control characters");
}
