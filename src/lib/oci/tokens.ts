import type { Clock } from "../runtime/clock.ts";
import { parseChallenges } from "./challenge.ts";
import type { CredentialLookup, Credentials } from "./credentials.ts";
import { ConnectionError, type HttpClient, type HttpTimeouts, readBody } from "./http.ts";

export interface Scope {
  readonly registry: string;
  readonly repository: string;
  /** Whether plain http is allowed for the registry and its token server. */
  readonly insecure: boolean;
}

/** The token server has sent an error status instead of a token. */
export class TokenRefused extends Error {
  override readonly name = "TokenRefused";
  readonly status: number;
  constructor(status: number) {
    super(`the token server answered ${status}`);
    this.status = status;
  }
}

/** Lifetime of a token by the specification when the server sends none. */
const DEFAULT_LIFE_S = 60;
/** A token is not used in its last seconds, because a request takes time. */
const MARGIN_S = 5;
const MAX_ANSWER = 1024 * 1024;
/** Repositories with a cached token; the oldest are dropped. */
const MAX_CACHED = 1000;

interface Cached {
  readonly header: Promise<string | undefined>;
  expiresMs: number;
}

/** Provides the `Authorization` header of each repository: none, Basic, or a cached Bearer token. */
export class Tokens {
  readonly #http: HttpClient;
  readonly #credentials: CredentialLookup;
  readonly #timeouts: HttpTimeouts;
  readonly #clock: Clock;
  readonly #cache = new Map<string, Cached>();

  constructor(http: HttpClient, credentials: CredentialLookup, timeouts: HttpTimeouts, clock: Clock) {
    this.#http = http;
    this.#credentials = credentials;
    this.#timeouts = timeouts;
    this.#clock = clock;
  }

  async cached(scope: Scope): Promise<string | undefined> {
    const cached = this.#cache.get(keyOf(scope));
    return cached && cached.expiresMs > this.#clock.monotonicMs() ? cached.header : undefined;
  }

  /**
   * Authenticates after a 401. Requests refused with the same header share one attempt.
   *
   * @param refused the header of the refused request
   * @returns the header to try next; undefined when there are no credentials
   * @throws ConnectionError or {@link TokenRefused}
   */
  async authenticate(
    scope: Scope,
    wwwAuthenticate: string,
    refused: string | undefined,
    signal: AbortSignal,
  ) {
    const cached = await this.cached(scope);
    if (cached !== undefined && cached !== refused) return cached;
    const entry: Cached = { expiresMs: Number.POSITIVE_INFINITY, header: Promise.resolve(undefined) };
    const header = this.#fresh(scope, wwwAuthenticate, entry, signal);
    const key = keyOf(scope);
    this.#remember(key, Object.assign(entry, { header }));
    try {
      const fresh = await header;
      if (fresh === undefined) this.#cache.delete(key);
      return fresh;
    } catch (err) {
      this.#cache.delete(key);
      throw err;
    }
  }

  async #fresh(scope: Scope, wwwAuthenticate: string, entry: Cached, signal: AbortSignal) {
    const challenges = parseChallenges(wwwAuthenticate);
    const credentials = await this.#credentials(scope.registry, scope.repository);
    const bearer = challenges.find((c) => c.scheme === "bearer" && c.parameters["realm"] !== undefined);
    if (bearer) {
      const url = tokenUrl(bearer.parameters, scope);
      const { token, lifeS } = await this.#fetch(url, scope, credentials, signal);
      entry.expiresMs = this.#clock.monotonicMs() + Math.max(1, lifeS - MARGIN_S) * 1000;
      return `Bearer ${token}`;
    }
    const wantsBasic = challenges.some((c) => c.scheme === "basic");
    return wantsBasic && credentials ? basicHeader(credentials) : undefined;
  }

  async #fetch(url: URL, scope: Scope, credentials: Credentials | undefined, signal: AbortSignal) {
    const headers = credentials ? { authorization: basicHeader(credentials) } : {};
    const timeouts = this.#timeouts;
    const response = await this.#http.get({ url, headers, timeouts, signal, allowDowngrade: scope.insecure });
    const body = await readBody(response, MAX_ANSWER, signal);
    if (response.statusCode !== 200) throw new TokenRefused(response.statusCode ?? 0);
    return parseToken(body);
  }

  #remember(key: string, entry: Cached): void {
    this.#cache.delete(key);
    this.#cache.set(key, entry);
    const oldest = this.#cache.keys().next().value;
    if (this.#cache.size > MAX_CACHED && oldest !== undefined) this.#cache.delete(oldest);
  }
}

function keyOf(scope: Scope): string {
  return `${scope.registry}/${scope.repository}`;
}

/** Asks for a token to pull from this repository, whatever scope the challenge suggests. */
function tokenUrl(parameters: Readonly<Record<string, string>>, scope: Scope): URL {
  const realm = parameters["realm"] ?? "";
  if (!URL.canParse(realm))
    throw new ConnectionError("the registry names a token server that is not an address");
  const url = new URL(realm);
  const allowed = url.protocol === "https:" || (url.protocol === "http:" && scope.insecure);
  if (!allowed) throw new ConnectionError(`refused to send credentials to a token server at ${url.origin}`);
  if (parameters["service"] !== undefined) url.searchParams.set("service", parameters["service"]);
  url.searchParams.set("scope", `repository:${scope.repository}:pull`);
  return url;
}

interface TokenAnswer {
  readonly token?: unknown;
  readonly access_token?: unknown;
  readonly expires_in?: unknown;
}

function parseToken(body: Buffer | undefined): { token: string; lifeS: number } {
  let json: TokenAnswer | null;
  try {
    // Fields are checked below.
    json = JSON.parse(body?.toString("utf8") ?? "") as TokenAnswer | null;
  } catch (err) {
    throw new ConnectionError("the token server did not answer in JSON", { cause: err });
  }
  const token = json?.token ?? json?.access_token;
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
    throw new ConnectionError("the token server sent no token");
  }
  const life = Number(json?.expires_in);
  return { token, lifeS: life > 0 ? life : DEFAULT_LIFE_S };
}

function basicHeader({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`, "utf8").toString("base64")}`;
}
