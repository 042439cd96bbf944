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
 * Whether an object in a JSON document has a field twice: `JSON.parse` keeps the last of several, other readers the first.
 *
 * @param body is valid JSON
 */
export function repeatsField(body: Buffer): boolean {
  /** Names of the fields so far, for each object and array that the scan is in. */
  const open: Set<string>[] = [];
  let last = "";
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if (byte === QUOTE) {
      const end = endOfString(body, at);
      last = body.toString("utf8", at, end + 1);
      at = end;
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) open.push(new Set());
    else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) open.pop();
    // Only a name comes before a colon.
    else if (byte === COLON) {
      const fields = open.at(-1);
      const name = String(JSON.parse(last));
      if (fields?.has(name)) return true;
      fields?.add(name);
    }
  }
  return false;
}

function endOfString(body: Buffer, start: number): number {
  for (let at = body.indexOf(QUOTE, start + 1); at >= 0; at = body.indexOf(QUOTE, at + 1)) {
    let first = at;
    while (first - 1 > start && body[first - 1] === BACKSLASH) first--;
    if ((at - first) % 2 === 0) return at;
  }
  return body.length;
}
