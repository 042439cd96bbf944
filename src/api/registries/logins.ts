import { Fault, hasReason } from "../../lib/faults/fault.ts";
import type { Credentials } from "../../lib/oci/auth/credentials.ts";
import { findFor } from "../../lib/oci/auth/repository-name.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import type { SealingKeys } from "../../lib/sealing/sealing-keys.ts";
import type { LoginKind, LoginStore, StoredLogin } from "./login-store.ts";

/** A login without its secret. */
export interface Login {
  readonly registry: string;
  /** Empty with a token. */
  readonly username: string;
  readonly kind: LoginKind;
  readonly updateTimeMs: number;
}

export interface NewLogin {
  readonly registry: string;
  readonly credentials: Credentials;
}

/** Finds the credentials of the fleet that an organisation may use. */
export type FleetLookup = (
  org: string,
  registry: string,
  repository: string,
) => Promise<Credentials | undefined>;

export interface LoginsParts {
  readonly store: LoginStore;
  /** Undefined: none can be stored or read. */
  readonly keys: SealingKeys | undefined;
  readonly fleet: FleetLookup;
  readonly clock: Clock;
}

interface Cached {
  readonly logins: Promise<readonly StoredLogin[]>;
  readonly expiresMs: number;
}

const MAX_LOGINS = 100;
/** How late another api's change is seen. */
const CACHE_MS = 5_000;
/** Organisations; the oldest are dropped. */
const MAX_CACHED = 10_000;
/** A restart of the database must not fail a create. */
const STORE_RETRY_LIMIT_MS = 6_000;
const STORE_RETRY_MS = 250;

/** The credentials of organisations, encrypted in the database. In memory they are encrypted too. */
export class Logins {
  readonly #parts: LoginsParts;
  readonly #cache = new Map<string, Cached>();

  constructor(parts: LoginsParts) {
    this.#parts = parts;
  }

  /** @throws Fault `SEALING_KEY_MISSING`, `TOO_MANY_REGISTRIES` */
  async put(org: string, { registry, credentials }: NewLogin): Promise<Login> {
    const sealed = this.#keys.seal(Buffer.from(JSON.stringify(credentials)), contextOf(org, registry));
    const kind = kindOf(credentials);
    const stored = await this.#parts.store.put(org, { registry, kind, sealed }, MAX_LOGINS);
    this.forget(org);
    if (stored) return this.#describe(org, stored);
    const message = `the organisation is logged in to ${MAX_LOGINS} registries already; log out of one first`;
    throw new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_REGISTRIES", message, { limit: String(MAX_LOGINS) });
  }

  /** @throws Fault `REGISTRY_NOT_FOUND` */
  async delete(org: string, registry: string): Promise<void> {
    const isDeleted = await this.#parts.store.delete(org, registry);
    this.forget(org);
    if (isDeleted) return;
    const message = `the organisation is not logged in to ${registry}; see hover registry list`;
    throw new Fault("NOT_FOUND", "REGISTRY_NOT_FOUND", message, { registry });
  }

  async list(org: string, after: string, limit: number): Promise<readonly Login[]> {
    const stored = await this.#parts.store.list(org, after, limit);
    return stored.map((login) => this.#describe(org, login));
  }

  /**
   * Finds what an organisation pulls a repository with: its own login with the longest name, else what it may use of the
   * fleet's. Undefined: nothing.
   *
   * @throws Fault `SEALING_KEY_MISSING`, `SEALED_VALUE_UNREADABLE`, `REGISTRY_AUTH_FILE_INVALID`
   */
  async find(org: string, registry: string, repository: string): Promise<Credentials | undefined> {
    const logins = await this.#cached(org);
    const own = findFor(
      logins.map((login) => [login.registry, login] as const),
      registry,
      repository,
    );
    return own ? this.#unseal(org, own) : this.#parts.fleet(org, registry, repository);
  }

  /** Makes the next look-up ask the database. */
  forget(org: string): void {
    this.#cache.delete(org);
  }

  get #keys(): SealingKeys {
    if (this.#parts.keys) return this.#parts.keys;
    const message =
      "this fleet cannot store registry credentials; its operator must set API_SEALING_KEY_DIR for all apis";
    throw new Fault("FAILED_PRECONDITION", "SEALING_KEY_MISSING", message);
  }

  #cached(org: string): Promise<readonly StoredLogin[]> {
    const now = this.#parts.clock.monotonicMs();
    const known = this.#cache.get(org);
    if (known && known.expiresMs > now) return known.logins;
    const logins = this.#read(org);
    this.#cache.delete(org);
    this.#cache.set(org, { logins, expiresMs: now + CACHE_MS });
    const oldest = this.#cache.keys().next().value;
    if (this.#cache.size > MAX_CACHED && oldest !== undefined) this.#cache.delete(oldest);
    logins.catch(() => this.forget(org));
    return logins;
  }

  async #read(org: string): Promise<readonly StoredLogin[]> {
    const { clock, store } = this.#parts;
    const deadline = clock.monotonicMs() + STORE_RETRY_LIMIT_MS;
    for (;;) {
      try {
        return await store.list(org, "", MAX_LOGINS);
      } catch (err) {
        if (!hasReason(err, "DATABASE_UNAVAILABLE") || clock.monotonicMs() > deadline) throw err;
        await sleep(STORE_RETRY_MS);
      }
    }
  }

  #describe(org: string, stored: StoredLogin): Login {
    const { registry, kind, updateTimeMs } = stored;
    return { registry, kind, updateTimeMs, username: this.#unseal(org, stored).username };
  }

  #unseal(org: string, { registry, sealed }: StoredLogin): Credentials {
    const json = this.#keys.unseal(sealed, contextOf(org, registry));
    // Written by `put`.
    return JSON.parse(json.toString("utf8")) as Credentials;
  }
}

/** A sealed value of one organisation and registry is of no use for another. */
function contextOf(org: string, registry: string): string {
  return `registry login ${org} ${registry}`;
}

function kindOf({ identityToken, registryToken }: Credentials): LoginKind {
  if (registryToken !== "") return "registry_token";
  return identityToken === "" ? "password" : "identity_token";
}
