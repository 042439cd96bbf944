import type { FlatHeaders } from "../exchange.ts";

/** Returns headers without those that begin with a colon. */
export function withoutPseudo(raw: FlatHeaders): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    if (!name.startsWith(":")) kept.push(name, raw[at + 1] ?? "");
  }
  return kept;
}

/** Returns headers as HTTP/2 takes them: names in lower case, several values of one name as a list. */
export function trailerObject(headers: FlatHeaders): Record<string, string | string[]> {
  const object: Record<string, string | string[]> = Object.create(null);
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = (headers[at] ?? "").toLowerCase();
    const value = headers[at + 1] ?? "";
    const before = object[name];
    object[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return object;
}

/** Returns headers in lower case, as HTTP/2 takes them in turn. */
export function lowerCase(headers: FlatHeaders): string[] {
  return headers.map((each, at) => (at % 2 === 0 ? each.toLowerCase() : each));
}
