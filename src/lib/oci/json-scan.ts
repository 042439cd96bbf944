const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Whether a JSON document has at most about `maxValues` values, nested at most `maxDepth` deep. Parsing others would block
 * everybody on this thread, which finding out does not.
 */
export function isModest(body: Buffer, maxValues: number, maxDepth: number): boolean {
  let values = 1;
  let depth = 0;
  for (let at = 0; at < body.length && values <= maxValues && depth <= maxDepth; at++) {
    const byte = body[at];
    if (byte === QUOTE) at = endOfString(body, at);
    else if (byte === COMMA || byte === COLON) values++;
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      values++;
      depth++;
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth--;
  }
  return values <= maxValues && depth <= maxDepth;
}

/**
 * Returns the names of the outermost fields of a JSON object, as often as they are there: `JSON.parse` keeps the last of
 * several, other readers the first. @param body is valid JSON
 */
export function outerKeys(body: Buffer): string[] {
  const keys: string[] = [];
  let depth = 0;
  let last = "";
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if (byte === QUOTE) {
      const end = endOfString(body, at);
      if (depth === 1) last = body.toString("utf8", at, end + 1);
      at = end;
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) depth++;
    else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth--;
    // Only a name comes before a colon.
    else if (byte === COLON && depth === 1) keys.push(String(JSON.parse(last)));
  }
  return keys;
}

function endOfString(body: Buffer, start: number): number {
  for (let at = body.indexOf(QUOTE, start + 1); at >= 0; at = body.indexOf(QUOTE, at + 1)) {
    let first = at;
    while (first - 1 > start && body[first - 1] === BACKSLASH) first--;
    if ((at - first) % 2 === 0) return at;
  }
  return body.length;
}
