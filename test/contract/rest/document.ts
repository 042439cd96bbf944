/** An answer as a document shows it: its status line, and JSON that is shortened. */
export interface ShownAnswer {
  readonly status: string | undefined;
  readonly body: unknown;
}

/** Ids that differ from run to run: of machines, leases, versions and events. */
const ID = /\b(?:[0-9a-f]{14}|[0-9a-f]{32}|[0-7][0-9A-HJKMNP-TV-Z]{25})\b/g;
const ADDRESS = /^fdaa:[0-9a-f:]+$/;
/** Milliseconds or seconds since 1970. */
const TIME = 1e9;

/** Splits what `curl -i` prints, or what a document shows of it. */
export function answerOf(lines: readonly string[]): ShownAnswer {
  const status = lines.find((line) => line.startsWith("HTTP/"))?.trim();
  const start = lines.findIndex((line) => /^\s*[[{]/.test(line));
  if (start < 0) return { status, body: undefined };
  return { status, body: JSON.parse(lines.slice(start).join("\n")) };
}

/**
 * Describes where an answer differs from the one that a document shows, and learns the ids that stand
 * for those of the document.
 */
export function differences(
  shown: unknown,
  actual: unknown,
  names: Map<string, string>,
  at = "the answer",
): string[] {
  if (shown === undefined) return [];
  if (Array.isArray(shown)) {
    if (!Array.isArray(actual)) return [`${at} is no list`];
    return shown.flatMap((each, i) => differences(each, actual[i], names, `${at}[${i}]`));
  }
  if (typeof shown === "object" && shown !== null) {
    if (typeof actual !== "object" || actual === null) return [`${at} is no object`];
    const members = actual as Record<string, unknown>;
    return Object.entries(shown).flatMap(([name, each]) =>
      differences(each, members[name], names, `${at}.${name}`),
    );
  }
  if (typeof shown === "string" && typeof actual === "string") {
    const isLearnt = learn(shown, actual, names) || (ADDRESS.test(shown) && ADDRESS.test(actual));
    return isLearnt || withNames(shown, names) === actual ? [] : [differs(at, shown, actual)];
  }
  if (typeof shown === "number" && shown > TIME && typeof actual === "number" && actual > TIME) return [];
  return shown === actual ? [] : [differs(at, shown, actual)];
}

/** Replaces what a document says by what it stands for. */
export function withNames(text: string, names: ReadonlyMap<string, string>): string {
  return [...names].reduce((result, [name, actual]) => result.replaceAll(name, actual), text);
}

function learn(shown: string, actual: string, names: Map<string, string>): boolean {
  const [ids, others] = [shown.match(ID), actual.match(ID)];
  if (ids?.[0] !== shown || others?.[0] !== actual || shown.length !== actual.length) return false;
  if (!names.has(shown)) names.set(shown, actual);
  return names.get(shown) === actual;
}

function differs(at: string, shown: unknown, actual: unknown): string {
  return `${at} is ${JSON.stringify(actual)}, not ${JSON.stringify(shown)}`;
}
