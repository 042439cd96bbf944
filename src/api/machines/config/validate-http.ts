import { bytes, type Check, printable } from "./text.ts";

/** A token of RFC 9110, e.g. the name of a header or a method. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** What RFC 9110 allows in the value of a header, without whitespace at its ends. */
const VALUE =
  /^(?:[\x21-\x7e\x80-\u{10ffff}](?:[\t\x20-\x7e\x80-\u{10ffff}]*[\x21-\x7e\x80-\u{10ffff}])?)?$/u;
const MAX_NAME_BYTES = 128;
const MAX_VALUE_BYTES = 4_096;
/** They say where a message ends, or are about one connection. */
const FRAMING = new Set([
  ...["connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer"],
  ...["transfer-encoding", "upgrade"],
]);

export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** Checks the name of a header that somebody else may set. */
export function checkHeaderName(name: string, field: string, check: Check): void {
  const isName = isToken(name) && bytes(name) <= MAX_NAME_BYTES;
  const rule = `must be a header name of at most ${MAX_NAME_BYTES} letters, digits and hyphens`;
  check(isName, field, `${rule}, not "${printable(name)}"`);
  const isOwn = FRAMING.has(name.toLowerCase());
  check(!isOwn, field, `${printable(name)} is set by HTTP itself: leave it out`);
}

/** Checks the value of a header. Nothing in it can begin another header. */
export function checkHeaderValue(value: string, field: string, check: Check): void {
  const isValue = VALUE.test(value) && value.isWellFormed() && bytes(value) <= MAX_VALUE_BYTES;
  const rule = `must be at most ${MAX_VALUE_BYTES} bytes without control characters or spaces at its ends`;
  check(isValue, field, rule);
}
