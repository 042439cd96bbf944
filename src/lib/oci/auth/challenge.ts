export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const VALUE = /\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/y;

/** Parses a `WWW-Authenticate` header (RFC 9110, 11.6.1), which may have several challenges. Skips what it cannot parse. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(header) ?? undefined;
    if (found) at = pattern.lastIndex;
    return found;
  };
  while (at < header.length) {
    const word = take(TOKEN);
    if (word === undefined) {
      at++;
      continue;
    }
    const value = take(VALUE);
    const current = challenges.at(-1);
    if (value === undefined) challenges.push({ scheme: word[0].toLowerCase(), parameters: {} });
    else if (current)
      current.parameters[word[0].toLowerCase()] = value[1]?.replace(/\\(.)/g, "$1") ?? value[2] ?? "";
  }
  return challenges;
}
