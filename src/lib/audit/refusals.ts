import type { AuditEntry } from "./audit-entry.ts";

/** Entries of one kind and caller that are told one by one in a window. */
const MAX_SINGLE = 10;
/**
 * Kinds and callers that are told apart in a window: of all, and of one organisation, or of all strangers.
 * Further ones of an organisation are counted together.
 */
const MAX_KINDS = { all: 200, org: 50 };
/** Organisations whose further kinds are counted by themselves; those of the rest are counted together. */
const MAX_ORGS = 200;
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
  /** Of each organisation; strangers have the empty name. */
  readonly #kinds = new Map<string, number>();
  #kindsOfAll = 0;
  #furtherOrgs = 0;

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
      const line = { ...last, object: "", traceId: "", count: counted };
      if (!key.startsWith(OTHERS)) return [line];
      return [{ ...line, client: "", subject: "", token: "", ...(key === OTHERS ? { org: "" } : {}) }];
    });
    this.#windowed.clear();
    this.#kinds.clear();
    this.#kindsOfAll = 0;
    this.#furtherOrgs = 0;
    return folded;
  }

  #keyOf({ client, token, org, method, reason }: AuditEntry): string {
    // Its holder makes as many other tokens of it as it likes.
    const [id = ""] = token.split(" ");
    const address = client.slice(0, Math.max(0, client.lastIndexOf(":")));
    // A stranger may try all methods.
    const key = id === "" ? `by ${address} ${reason}` : `by ${id} ${method} ${reason}`;
    if (this.#windowed.has(key)) return key;
    const owner = id === "" ? "" : org;
    const kinds = this.#kinds.get(owner) ?? 0;
    if (kinds < MAX_KINDS.org && this.#kindsOfAll < MAX_KINDS.all) {
      this.#kinds.set(owner, kinds + 1);
      this.#kindsOfAll += 1;
      return key;
    }
    const further = `${OTHERS} of ${owner}`;
    if (this.#windowed.has(further)) return further;
    if (this.#furtherOrgs >= MAX_ORGS) return OTHERS;
    this.#furtherOrgs += 1;
    return further;
  }
}
