import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { errors, type JWTPayload, jwtVerify, SignJWT } from "jose";
import { Fault } from "../faults/fault.ts";
import { type Clock, systemClock } from "../runtime/clock.ts";

const SCOPES = ["machines:read", "machines:write", "admin", "internal"] as const;
/** What a token allows. No scope implies another. `internal` is for services only. */
export type Scope = (typeof SCOPES)[number];

/** The verified content of a token: who calls, and what they may do. */
export interface Claims {
  readonly subject: string;
  /** The organisation that the caller acts for; empty for a service. */
  readonly org: string;
  readonly scopes: readonly Scope[];
}

/** An Ed25519 key pair in PEM. The private key mints tokens, the public key verifies them. */
export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

const ISSUER = "windhover.dev";
const ALGORITHM = "EdDSA";
const SCHEME = /^(?:Bearer\s+FlyV1|Bearer|FlyV1)\s+(\S+)\s*$/i;
/** Longer than any valid token; bounds the work that a stranger can cause. */
const MAX_TOKEN = 4_096;
const MAX_CACHED = 2_048;
/** Services that probes and tools call without a token. */
const OPEN = /^\/grpc\.(health|reflection)\./;

export function generateKeyPair(): KeyPair {
  const pair = generateKeyPairSync("ed25519");
  return {
    privateKey: pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicKey: pair.publicKey.export({ type: "spki", format: "pem" }).toString(),
  };
}

/** Mints a token that is valid for `ttlSeconds`. */
export function mintToken(
  privateKey: string | KeyObject,
  claims: Claims,
  ttlSeconds: number,
  clock: Clock = systemClock,
): Promise<string> {
  const now = Math.floor(clock.now() / 1_000);
  return new SignJWT({ org: claims.org, scope: claims.scopes.join(" ") })
    .setProtectedHeader({ alg: ALGORITHM, typ: "JWT" })
    .setIssuer(ISSUER)
    .setSubject(claims.subject)
    .setIssuedAt(now)
    .setExpirationTime(now + ttlSeconds)
    .sign(typeof privateKey === "string" ? createPrivateKey(privateKey) : privateKey);
}

/** Verifies tokens offline. Remembers the last 2,048 verified tokens until they expire. */
export class TokenVerifier {
  readonly #keys: readonly KeyObject[];
  readonly #clock: Clock;
  readonly #known = new Map<string, { claims: Claims; expiresMs: number }>();

  /** @param publicKeys PEM; several while keys are being replaced */
  constructor(publicKeys: string | readonly string[], clock: Clock = systemClock) {
    this.#keys = (typeof publicKeys === "string" ? [publicKeys] : publicKeys).map((pem) =>
      createPublicKey(pem),
    );
    this.#clock = clock;
  }

  /** Returns the claims of a token that was verified before and has not expired; undefined for any other. */
  known(authorization: string | undefined): Claims | undefined {
    const token = readToken(authorization);
    const known = token === undefined ? undefined : this.#known.get(token);
    if (token === undefined || known === undefined) return undefined;
    this.#known.delete(token);
    if (known.expiresMs <= this.#clock.now()) return undefined;
    // Moves it to the end: the map is in the order of use.
    this.#known.set(token, known);
    return known.claims;
  }

  /**
   * Verifies an `authorization` header with the scheme `Bearer`, `FlyV1` or `Bearer FlyV1`.
   *
   * @throws Fault UNAUTHENTICATED with `TOKEN_MISSING`, `TOKEN_INVALID` or `TOKEN_EXPIRED`
   */
  async verify(authorization: string | undefined): Promise<Claims> {
    const known = this.known(authorization);
    if (known) return known;
    const token = tokenOf(authorization);
    const payload = await this.#check(token);
    const claims = toClaims(payload);
    if (this.#known.size >= MAX_CACHED) this.#known.delete(this.#known.keys().next().value ?? "");
    this.#known.set(token, { claims, expiresMs: (payload.exp ?? 0) * 1_000 });
    return claims;
  }

  async #check(token: string): Promise<JWTPayload> {
    let last: unknown;
    for (const key of this.#keys) {
      try {
        const { payload } = await jwtVerify(token, key, {
          algorithms: [ALGORITHM],
          issuer: ISSUER,
          requiredClaims: ["exp", "sub"],
          currentDate: new Date(this.#clock.now()),
        });
        return payload;
      } catch (err) {
        if (err instanceof errors.JWTExpired) throw expired(err);
        last = err;
      }
    }
    throw rejected("it was not signed by this cluster's key or has been altered", last);
  }
}

export interface Caller {
  readonly claims: Claims | undefined;
}

/**
 * Returns who calls when their token has one of `scopes`.
 *
 * @throws Fault PERMISSION_DENIED / `SCOPE_MISSING`; UNAUTHENTICATED / `TOKEN_MISSING` when nobody verified a token
 */
export function requireScope(ctx: Caller, ...scopes: readonly [Scope, ...Scope[]]): Claims {
  if (!ctx.claims) throw missing();
  const { claims } = ctx;
  if (scopes.some((scope) => claims.scopes.includes(scope))) return claims;
  const needed = scopes.join(" or ");
  throw new Fault("PERMISSION_DENIED", "SCOPE_MISSING", `this needs a token with the scope ${needed}`, {
    needed: scopes.join(","),
    present: claims.scopes.join(","),
  });
}

/** Whether a method, by its full path, may be called without a token. */
export function isOpen(path: string): boolean {
  return OPEN.test(path);
}

function tokenOf(authorization: string | undefined): string {
  if (authorization === undefined || authorization.trim() === "") throw missing();
  const token = readToken(authorization);
  if (token === undefined) throw rejected("the authorization header must be `Bearer <token>`");
  if (token.length > MAX_TOKEN) throw rejected("it is longer than any token of this system");
  return token;
}

function readToken(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : SCHEME.exec(authorization)?.[1];
}

function toClaims(payload: JWTPayload): Claims {
  const scopes = typeof payload["scope"] === "string" ? payload["scope"].split(" ") : [];
  const org = payload["org"];
  if (!payload.sub || typeof org !== "string") throw rejected("it lacks a subject or an organisation");
  // A scope that this version does not know grants nothing.
  return Object.freeze({ subject: payload.sub, org, scopes: SCOPES.filter((s) => scopes.includes(s)) });
}

function missing(): Fault {
  return new Fault(
    "UNAUTHENTICATED",
    "TOKEN_MISSING",
    "a token is needed: send it in the authorization header as `Bearer <token>`",
  );
}

function expired(cause?: unknown): Fault {
  return new Fault("UNAUTHENTICATED", "TOKEN_EXPIRED", "the token has expired", {}, { cause });
}

function rejected(why: string, cause?: unknown): Fault {
  return new Fault("UNAUTHENTICATED", "TOKEN_INVALID", `the token is not valid: ${why}`, {}, { cause });
}
