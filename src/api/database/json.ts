/** Escapes of NUL and lone surrogates in JSON. Also matches a backslash of the text itself: the replacer then changes nothing. */
const REFUSED = /\\u(?:0000|d[89a-f])/;

/** Replaces NUL and lone surrogates, which jsonb rejects and guests and registries may send. */
export function toJson(value: unknown): string {
  const text = JSON.stringify(value);
  // A replacer is called for every member: several times slower.
  return REFUSED.test(text) ? JSON.stringify(value, replaced) : text;
}

function replaced(_: string, item: unknown): unknown {
  return typeof item === "string" ? item.replaceAll("\0", "\ufffd").toWellFormed() : item;
}
