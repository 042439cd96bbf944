import type { AuditEntry } from "./audit-entry.ts";

/** Entries of one kind and caller that are told one by one in a window. */
const MAX_SINGLE = 10;
/** Kinds and callers that are told apart in a window; further ones are counted together. */
const MAX_KINDS = 200;
const OTHERS = "others";

/** Codes of calls that somebody was not allowed to make, or not so often. */
export const REFUSAL_CODES: ReadonlySet<string> = new Set([
  "UNAUTHENTICATED",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
]);

/** Codes of calls that have changed nothing. Other failures may be of calls that did their work. */
export const FOLDED_CODES: ReadonlySet<string> = new Set([
  ...REFUSAL_CODES,
  "NOT_FOUND",
  "INVALID_ARGUMENT",
  "FAILED_PRECONDITION",
  "ALREADY_EXISTS",
]);

/** Folds calls that changed nothing, so that a flood of them neither fills a disk nor pushes out other lines. */
export class Refusals {
  readonly #windowed = new Map<string, { told: number; counted: number; last: AuditEntry }>();

  /** Returns the entry when it is to be told by itself. */
  add(entry: AuditEntry): AuditEntry | undefined {
    const key = this.#keyOf(entry);
    const seen = this.#windowed.get(key) ?? { told: 0, counted: 0, last: entry };
    this.#windowed.set(key, seen);
    seen.last = entry;
    if (seen.told < MAX_SINGLE) {
      seen.told += 1;
      return entry;
    }
    seen.counted += 1;
    return undefined;
  }

  /** Ends the window. Returns a line for each kind that was counted. */
  end(): readonly AuditEntry[] {
    const folded = [...this.#windowed].flatMap(([key, { counted, last }]) => {
      if (counted === 0) return [];
      if (key !== OTHERS) return [{ ...last, object: "", traceId: "", count: counted }];
      return [
        { ...last, client: "", subject: "", org: "", token: "", object: "", traceId: "", count: counted },
      ];
    });
    this.#windowed.clear();
    return folded;
  }

  #keyOf({ client, token, method, reason }: AuditEntry): string {
    // Its holder makes as many other tokens of it as it likes.
    const [id = ""] = token.split(" ");
    const address = client.slice(0, Math.max(0, client.lastIndexOf(":")));
    // A stranger may try all methods.
    const key = id === "" ? `${address} ${reason}` : `${id} ${method} ${reason}`;
    return this.#windowed.has(key) || this.#windowed.size < MAX_KINDS ? key : OTHERS;
  }
}
