import type { Clock } from "../../runtime/clock.ts";
import { ConnectionError, type HttpClient, type HttpResponse, readBody } from "../http/client.ts";
import { parseChallenges } from "./challenge.ts";
import { type Access, accessKey, type Credentials } from "./credentials.ts";

export interface Scope {
  readonly registry: string;
  readonly repository: string;
  /** Whether plain http is allowed for the registry and its token server. */
  readonly insecure: boolean;
  readonly access: Access;
}

/** The token server has sent an error status instead of a token. */
export class TokenRefused extends Error {
  override readonly name = "TokenRefused";
  readonly response: HttpResponse;
  constructor(response: HttpResponse) {
    super(`the token server answered ${response.status}`);
    this.response = response;
  }
}

/** Lifetime of a token by the specification when the server sends none. */
const DEFAULT_LIFE_S = 60;
/** A header without an end is not used for longer, so that what is not used is forgotten. */
const MAX_LIFE_S = 3600;
/** A token is not used in its last seconds, because a request takes time. */
const MARGIN_S = 5;
/** Registries take no larger tokens in a header. */
const MAX_ANSWER = 128 * 1024;
/** Repositories with a cached token; the oldest are dropped. */
const MAX_CACHED = 1000;

interface Cached {
  readonly header: Promise<string | undefined>;
  expiresMs: number;
}

/** Provides the `Authorization` header of each repository: none, Basic, or a cached Bearer token. */
export class Tokens {
  readonly #http: HttpClient;
  readonly #clock: Clock;
  readonly #cache = new Map<string, Cached>();

  constructor(http: HttpClient, clock: Clock) {
    this.#http = http;
    this.#clock = clock;
  }

  async cached(scope: Scope): Promise<string | undefined> {
    const cached = this.#cache.get(keyOf(scope));
    if (!cached || cached.expiresMs <= this.#clock.monotonicMs()) return undefined;
    try {
      return await cached.header;
    } catch (err) {
      if (err instanceof TokenRefused || err instanceof ConnectionError) throw err;
      // Nobody waits any more for the caller that was asking, which is no fault for this one.
      return undefined;
    }
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
    const { credentials } = scope.access;
    const expireIn = (lifeS: number) => {
      entry.expiresMs = this.#clock.monotonicMs() + Math.max(1, lifeS - MARGIN_S) * 1000;
    };
    expireIn(MAX_LIFE_S);
    const bearer = challenges.find((c) => c.scheme === "bearer" && c.parameters["realm"] !== undefined);
    if (bearer && credentials?.registryToken) return `Bearer ${credentials.registryToken}`;
    if (bearer) {
      const { token, lifeS } = await this.#fetch(bearer.parameters, scope, signal);
      expireIn(lifeS);
      return `Bearer ${token}`;
    }
    const wantsBasic = challenges.some((c) => c.scheme === "basic");
    return wantsBasic && credentials?.username ? basicHeader(credentials) : undefined;
  }

  async #fetch(parameters: Readonly<Record<string, string>>, scope: Scope, signal: AbortSignal) {
    const { credentials } = scope.access;
    const url = realmOf(parameters, scope);
    const asked = { ...(parameters["service"] === undefined ? {} : { service: parameters["service"] }) };
    const query = { ...asked, ...scopeOf(scope) };
    const refresh = credentials?.identityToken && {
      ...{ grant_type: "refresh_token", refresh_token: credentials.identityToken, client_id: "windhover" },
      ...query,
    };
    for (const [name, value] of Object.entries(refresh ? {} : query)) url.searchParams.set(name, value);
    const headers = credentials?.username ? { authorization: basicHeader(credentials) } : {};
    const form = refresh ? { form: new URLSearchParams(refresh) } : {};
    const response = await this.#http.send({ url, headers, signal, ...form });
    const body = await readBody(response, MAX_ANSWER, signal);
    if (response.status !== 200) throw new TokenRefused(response);
    return parseToken(body);
  }

  #remember(key: string, entry: Cached): void {
    this.#cache.delete(key);
    this.#cache.set(key, entry);
    const oldest = this.#cache.keys().next().value;
    if (this.#cache.size > MAX_CACHED && oldest !== undefined) this.#cache.delete(oldest);
  }
}

function keyOf({ registry, repository, access }: Scope): string {
  return `${accessKey(access)} ${registry}/${repository}`;
}

function realmOf(parameters: Readonly<Record<string, string>>, scope: Scope): URL {
  const url = URL.parse(parameters["realm"] ?? "");
  const allowed = url?.protocol === "https:" || (url?.protocol === "http:" && scope.insecure);
  if (!url || !allowed) throw new ConnectionError("TOKEN_SERVER_REFUSED", false);
  return url;
}

/** Asks for a token to pull from this repository, whatever scope the challenge suggests. */
function scopeOf({ repository }: Scope): Record<string, string> {
  return repository === "" ? {} : { scope: `repository:${repository}:pull` };
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
  } catch {
    throw new ConnectionError("TOKEN_NOT_JSON");
  }
  const token = json?.token ?? json?.access_token;
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) throw new ConnectionError("TOKEN_MISSING");
  const life = Number(json?.expires_in);
  return { token, lifeS: life > 0 ? life : DEFAULT_LIFE_S };
}

function basicHeader({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`, "utf8").toString("base64")}`;
}
