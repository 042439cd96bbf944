import type { Claims } from "./claims.ts";

/** What holds for an organisation besides its quota. */
export interface OrgRestriction {
  readonly org: string;
  /** Whether it may only read, stop and destroy. */
  readonly isSuspended: boolean;
  /** Its tokens issued before this are void, in milliseconds since the epoch. 0: none. */
  readonly notBeforeMs: number;
}

/** Everything that is revoked or suspended. */
export interface RevocationList {
  /** Grows with every change. */
  readonly version: number;
  /** Ids of tokens and of blocks. */
  readonly tokens: readonly string[];
  readonly orgs: readonly OrgRestriction[];
}

const EMPTY_LIST: RevocationList = { version: 0, tokens: [], orgs: [] };

/** The last list that is known, in memory. */
export class Revocations {
  #list = EMPTY_LIST;
  #tokens: ReadonlySet<string> = new Set();
  #orgs: ReadonlyMap<string, OrgRestriction> = new Map();
  readonly #listeners = new Set<() => void>();

  get list(): RevocationList {
    return this.#list;
  }

  /** Whether a token may not be used any more. */
  isRevoked({ org, ids, issuedMs }: Pick<Claims, "org" | "ids" | "issuedMs">): boolean {
    if (this.#tokens.size > 0 && ids.some((id) => this.#tokens.has(id))) return true;
    const notBeforeMs = this.#orgs.get(org)?.notBeforeMs ?? 0;
    return issuedMs < notBeforeMs;
  }

  isSuspended(org: string): boolean {
    return this.#orgs.get(org)?.isSuspended === true;
  }

  /** Takes a list that is newer than the present one. Returns whether it was. */
  replace(list: RevocationList): boolean {
    if (list.version <= this.#list.version) return false;
    this.#list = list;
    this.#tokens = new Set(list.tokens);
    this.#orgs = new Map(list.orgs.map((each) => [each.org, each]));
    for (const listener of this.#listeners) listener();
    return true;
  }

  /** Calls `listener` after each change. */
  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }
}
