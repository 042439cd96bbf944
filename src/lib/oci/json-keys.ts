const STRING = /"(?:[^"\\]|\\.)*"/y;

/**
 * Returns the names of the outermost fields of a JSON object, as often as they are there: `JSON.parse` keeps the last of
 * several, other readers the first. @param text is valid JSON
 */
export function outerKeys(text: string): string[] {
  const keys: string[] = [];
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") depth--;
    else if (char === '"') {
      STRING.lastIndex = at;
      const found = STRING.exec(text)?.[0] ?? '""';
      at += found.length - 1;
      if (depth === 1 && /^\s*:/.test(text.slice(at + 1, at + 65))) keys.push(String(JSON.parse(found)));
    }
  }
  return keys;
}
