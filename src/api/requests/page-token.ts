import { invalid } from "../../lib/faults/fault.ts";

const DEFAULT_PAGE = 100;
const MAX_PAGE = 1000;
const MAX_TOKEN = 1024;
const TIME =
  /^(\d{4}-\d\d-\d\d) ([01]\d|2[0-3])(?::[0-5]\d){2}(?:\.\d{1,6})?[+-](?:0\d|1[0-5])(?::[0-5]\d){0,2}$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** What keys may be: Postgres refuses any others. `time` is one as it writes them. */
const KEY_FORMS = {
  time: isTime,
  number: (key: string) => /^\d{1,10}$/.test(key),
  uuid: (key: string) => UUID.test(key),
  name: (key: string) => !key.includes("\0") && key.isWellFormed(),
} as const;

/** What a key of a page token looks like. */
export type KeyForm = keyof typeof KEY_FORMS;

/** Returns the page size for a requested one. @throws Fault INVALID_FIELDS when negative */
export function pageSize(asked: number, max = MAX_PAGE): number {
  if (asked < 0) throw invalid([{ field: "page_size", description: "must not be negative" }]);
  return asked === 0 ? DEFAULT_PAGE : Math.min(asked, max);
}

/** Makes the token of the page after these keys. @param list names the list and its filters */
export function encodePageToken(list: string, after: readonly string[]): string {
  return Buffer.from(JSON.stringify([list, ...after])).toString("base64url");
}

/**
 * Reads the keys; undefined for an empty token, the first page. Tokens are not signed: the keys
 * only select a position within what the caller may see. @throws Fault INVALID_FIELDS
 */
export function decodePageToken(
  list: string,
  forms: readonly KeyForm[],
  token: string,
): readonly string[] | undefined {
  if (token === "") return undefined;
  const [of, ...after] = parse(token);
  const areKeys = after.every((key, i) => KEY_FORMS[forms[i] ?? "name"](key));
  if (of !== list || after.length !== forms.length || !areKeys) {
    throw invalid([
      {
        field: "page_token",
        // The REST API has other names for it.
        description: "must be what a page of the same list, with the same filters, gave for the next",
      },
    ]);
  }
  return after;
}

function isTime(key: string): boolean {
  const day = TIME.exec(key)?.[1];
  if (day === undefined) return false;
  const date = new Date(`${day}T00:00:00Z`);
  // The 31st of February would become a day in March.
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}

function parse(token: string): readonly string[] {
  if (token.length > MAX_TOKEN) return [];
  try {
    const value: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    const strings = Array.isArray(value) && value.every((item): item is string => typeof item === "string");
    return strings ? value : [];
  } catch {
    return [];
  }
}
