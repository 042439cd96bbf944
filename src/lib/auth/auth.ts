import { type KeyObject, randomBytes } from "node:crypto";
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify, SignJWT } from "jose";
import { Fault } from "../faults/fault.ts";
import { type Clock, systemClock } from "../runtime/clock.ts";
import { checkStrings, keyIdOf } from "./biscuit/biscuit-wire.ts";
import { BadBiscuit } from "./biscuit/biscuits.ts";
import { biscuits, claimsOf, mintUserToken } from "./biscuit/user-token.ts";
import { type Claims, expired, type Grant, missing, rejected, revoked, SCOPES } from "./claims.ts";
import { fixedPublicKeys, fixedSigningKey, type PublicKeys, publicBytes, type SigningKey } from "./keys.ts";
import { Revocations } from "./revocations.ts";

const ISSUER = "windhover.dev";
const ALGORITHM = "EdDSA";
const SCHEME = /^(?:Bearer\s+FlyV1|Bearer|FlyV1)\s+/i;
/** Tokens of one header: clients of Fly send all that they have. */
const MAX_TOKENS = 4;
/** Longer than any valid token; bounds the work that a stranger can cause. */
const MAX_TOKEN = 4_096;
/** Headers are remembered whole. */
const MAX_HEADER = 2 * MAX_TOKEN;
const MAX_CACHED = 2_048;
/** Of one token that was issued: whoever attenuates it without end must not push out everybody else's. */
const MAX_CACHED_OF_ONE = 128;
/**
 * Characters of a token's checks. Parsed, they take some ten times as many bytes: 2,048 tokens must
 * not take 100 MB.
 */
const MAX_CACHED_CHECKS = 1_024;

/**
 * Mints a token that is valid for `ttlSeconds`: a Biscuit for a user, who may attenuate it; a JWT
 * for a service, which has no organisation. Why two: docs/adr/0024-tokens.md.
 *
 * @param signingKey PEM for a key with the id 1
 */
export async function mintToken(
  signingKey: string | SigningKey,
  grant: Grant,
  ttlSeconds: number,
  clock: Clock = systemClock,
): Promise<string> {
  return (await issueToken(signingKey, grant, ttlSeconds, clock)).token;
}

/** Mints a token as {@link mintToken} does. Returns its id too. */
export async function issueToken(
  signingKey: string | SigningKey,
  grant: Grant,
  ttlSeconds: number,
  clock: Clock = systemClock,
): Promise<{ readonly token: string; readonly id: string; readonly expiresMs: number }> {
  const key = typeof signingKey === "string" ? fixedSigningKey(signingKey).signing() : signingKey;
  const issuedMs = clock.now();
  const expiresMs = Math.floor(issuedMs / 1_000 + ttlSeconds) * 1_000;
  const minted =
    grant.org === ""
      ? await mintServiceToken(key, grant, issuedMs, expiresMs)
      : await mintUserToken(key, grant, { issuedMs, expiresMs });
  return { ...minted, expiresMs };
}

/** A token that was verified, and the key that signed it. */
interface Verified {
  readonly claims: Claims;
  readonly keyId: number;
  readonly key: KeyObject;
}

/** Verifies tokens offline. Remembers the last 2,048 verified tokens until they expire. */
export class TokenVerifier {
  readonly #keys: PublicKeys;
  readonly #clock: Clock;
  /** By the text of the header. What is not used moves to `#older`, and is then forgotten. */
  #recent = new Map<string, Verified>();
  #older = new Map<string, Verified>();
  /** How many of `#recent` were made of each issued token, by its id. */
  #madeOf = new Map<string, number>();
  readonly #byClaims = new WeakMap<Claims, Verified>();
  readonly revocations: Revocations;

  /** @param keys or public keys in PEM, with the ids 1, 2, ... */
  constructor(
    keys: PublicKeys | string | readonly string[],
    clock: Clock = systemClock,
    revocations: Revocations = new Revocations(),
  ) {
    if (typeof keys === "string") this.#keys = fixedPublicKeys([keys]);
    else this.#keys = "get" in keys ? keys : fixedPublicKeys(keys);
    this.#clock = clock;
    this.revocations = revocations;
  }

  /**
   * Returns the claims of a token that was verified before, has not expired and is not revoked;
   * undefined for any other.
   */
  known(authorization: string | undefined): Claims | undefined {
    const verified = authorization === undefined ? undefined : this.#recall(authorization);
    return verified && !this.revocations.isRevoked(verified.claims) ? verified.claims : undefined;
  }

  /**
   * Verifies an `authorization` header with the scheme `Bearer`, `FlyV1` or `Bearer FlyV1`. Of several tokens, with
   * commas between them, the first that is valid counts.
   *
   * @throws Fault UNAUTHENTICATED with `TOKEN_MISSING`, `TOKEN_INVALID`, `TOKEN_EXPIRED` or `TOKEN_REVOKED`
   */
  async verify(authorization: string | undefined): Promise<Claims> {
    const known = this.known(authorization);
    if (known) return known;
    const { header, tokens } = tokensOf(authorization);
    const [token = "", ...others] = tokens;
    if (others.length === 0) return this.#accept(header, this.#recall(header) ?? (await this.#check(token)));
    const refusals: Fault[] = [];
    for (const each of tokens) {
      try {
        return this.#accept(header, await this.#check(each));
      } catch (err) {
        if (!(err instanceof Fault)) throw err;
        refusals.push(err);
      }
    }
    // That one was good once says more than that another never was.
    throw refusals.find(({ reason }) => reason !== "TOKEN_INVALID") ?? refusals[0];
  }

  /** @throws Fault `TOKEN_EXPIRED`, `TOKEN_REVOKED` */
  #accept(header: string, verified: Verified): Claims {
    const { claims } = verified;
    if (claims.expiresMs <= this.#clock.now()) throw expired();
    if (lengthOf(claims.checks) <= MAX_CACHED_CHECKS) this.#remember(header, verified);
    this.#byClaims.set(claims, verified);
    if (this.revocations.isRevoked(claims)) throw revoked(claims);
    return claims;
  }

  /**
   * Returns why a token that was taken before would be refused now; undefined when it would not. A
   * service renews its tokens, so that of those only a revocation counts.
   */
  lapse(claims: Claims): Fault | undefined {
    if (this.revocations.isRevoked(claims)) return revoked(claims);
    if (claims.org === "") return undefined;
    if (claims.expiresMs <= this.#clock.now()) return expired();
    const verified = this.#byClaims.get(claims);
    return verified && !this.#hasKeyOf(verified) ? rejected("its key was removed") : undefined;
  }

  /** Another key may have got the id of one that was removed. */
  #hasKeyOf({ keyId, key }: Verified): boolean {
    return this.#keys.get(keyId) === key;
  }

  #recall(header: string): Verified | undefined {
    const recent = this.#recent.get(header);
    const verified = recent ?? this.#older.get(header);
    if (!verified) return undefined;
    if (verified.claims.expiresMs <= this.#clock.now() || !this.#hasKeyOf(verified)) {
      this.#recent.delete(header);
      this.#older.delete(header);
      return undefined;
    }
    if (!recent) this.#remember(header, verified);
    return verified;
  }

  #remember(header: string, verified: Verified): void {
    if (this.#recent.size >= MAX_CACHED / 2) {
      this.#older = this.#recent;
      this.#recent = new Map();
      this.#madeOf = new Map();
    }
    const { id } = verified.claims;
    const count = this.#madeOf.get(id) ?? 0;
    if (count >= MAX_CACHED_OF_ONE) return;
    this.#madeOf.set(id, count + 1);
    this.#recent.set(header, verified);
  }

  async #check(token: string): Promise<Verified> {
    const isJwt = token.includes(".");
    const keyId = isJwt ? keyIdOfJwt(token) : keyIdOf(token);
    if (this.#keys.get(keyId) === undefined) await this.#keys.refresh();
    const key = this.#keys.get(keyId);
    if (key === undefined) throw rejected("it was signed with a key that this cluster does not have");
    try {
      if (!isJwt) {
        const opened = await biscuits.open(token, publicBytes(key));
        checkStrings(token);
        return { claims: claimsOf(opened), keyId, key };
      }
      const { payload } = await jwtVerify(token, key, {
        algorithms: [ALGORITHM],
        issuer: ISSUER,
        requiredClaims: ["exp", "iat", "jti", "sub"],
        currentDate: new Date(this.#clock.now()),
      });
      return { claims: serviceClaims(payload), keyId, key };
    } catch (err) {
      if (err instanceof errors.JWTExpired) throw expired(err);
      if (err instanceof BadBiscuit || err instanceof errors.JOSEError) {
        throw rejected("it was not signed by this cluster's key or has been altered", err);
      }
      throw err;
    }
  }
}

function lengthOf(checks: Claims["checks"]): number {
  return checks.reduce((sum, { source }) => sum + source.length, 0);
}

async function mintServiceToken(
  { id: keyId, key }: SigningKey,
  { subject, scopes }: Grant,
  issuedMs: number,
  expiresMs: number,
): Promise<{ readonly token: string; readonly id: string }> {
  const id = randomBytes(12).toString("hex");
  const token = await new SignJWT({ scope: scopes.join(" ") })
    .setProtectedHeader({ alg: ALGORITHM, typ: "JWT", kid: String(keyId) })
    .setIssuer(ISSUER)
    .setSubject(subject)
    .setJti(id)
    .setIssuedAt(issuedMs / 1_000)
    .setExpirationTime(expiresMs / 1_000)
    .sign(key);
  return { token, id };
}

function keyIdOfJwt(token: string): number {
  try {
    const { kid } = decodeProtectedHeader(token);
    if (kid !== undefined && /^\d{1,10}$/.test(kid)) return Number(kid);
  } catch {
    // Not even a header.
  }
  throw rejected("it names no key");
}

function serviceClaims(payload: JWTPayload): Claims {
  const { sub = "", jti = "", iat = 0, exp = 0 } = payload;
  const scopes = typeof payload["scope"] === "string" ? payload["scope"].split(" ") : [];
  return Object.freeze({
    ...{ id: jti, ids: [jti], subject: sub, org: "" },
    // A scope that this version does not know grants nothing.
    scopes: SCOPES.filter((scope) => scopes.includes(scope)),
    ...{ issuedMs: iat * 1_000, expiresMs: exp * 1_000, checks: [] },
  });
}

function tokensOf(authorization: string | undefined): {
  readonly header: string;
  readonly tokens: readonly string[];
} {
  if (authorization === undefined || authorization.trim() === "") throw missing();
  const parts = SCHEME.test(authorization) ? authorization.split(",") : [];
  const tokens = parts.map((part) => part.trim().replace(SCHEME, "")).filter((token) => token !== "");
  if (tokens.length === 0 || tokens.some((token) => /\s/.test(token)))
    throw rejected("the authorization header must be `Bearer <token>`");
  if (tokens.length > MAX_TOKENS) throw rejected(`a header has at most ${MAX_TOKENS} tokens`);
  const isLong = authorization.length > MAX_HEADER || tokens.some((token) => token.length > MAX_TOKEN);
  if (isLong) throw rejected("it is longer than any token of this system");
  return { header: authorization, tokens };
}
