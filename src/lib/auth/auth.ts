import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { errors, type JWTPayload, jwtVerify, SignJWT } from "jose";
import { type Clock, systemClock } from "../runtime/clock.ts";
import { Fault } from "../runtime/fault.ts";

const SCOPES = ["machines:read", "machines:write", "admin", "internal"] as const;
/** What a token allows. None implies another. `internal` is for the services among themselves. */
export type Scope = (typeof SCOPES)[number];

/** Who calls, and what they may do: the verified content of a token. */
export interface Claims {
  /** Who: a user, or a service's name. */
  readonly subject: string;
  /** The organisation they act for; empty for a service. */
  readonly org: string;
  readonly scopes: readonly Scope[];
}

/** A key pair in PEM: whoever has the private one can mint tokens, the public one only verifies. */
export interface KeyPair {
  /** PKCS 8, PEM. */
  readonly privateKey: string;
  /** SPKI, PEM. */
  readonly publicKey: string;
}

const ISSUER = "windhover.dev";
const ALGORITHM = "EdDSA";
const SCHEME = /^(?:Bearer\s+FlyV1|Bearer|FlyV1)\s+(\S+)\s*$/i;
/** Longer than any token of ours; bounds the work a stranger can cause. */
const MAX_TOKEN = 4_096;
const MAX_CACHED = 2_048;
/** Probes and tools ask these before they have a token; they tell nothing about any machine. */
const OPEN = /^\/grpc\.(health|reflection)\./;

/** Makes a new Ed25519 key pair. */
export function generateKeyPair(): KeyPair {
  const pair = generateKeyPairSync("ed25519");
  return {
    privateKey: pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicKey: pair.publicKey.export({ type: "spki", format: "pem" }).toString(),
  };
}

/**
 * Mints a token.
 *
 * @param privateKey PEM or key
 * @param ttlSeconds how long it is valid from now on
 */
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

/** Verifies tokens offline. Tokens it has verified are remembered until they expire, the last 2,048 used. */
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

  /** As {@link verify}, at once, for a token that was verified before and has not expired; undefined for any other. */
  known(authorization: string | undefined): Claims | undefined {
    const token = readToken(authorization);
    const known = token === undefined ? undefined : this.#known.get(token);
    if (token === undefined || known === undefined) return undefined;
    this.#known.delete(token);
    if (known.expiresMs <= this.#clock.now()) return undefined;
    // Moved to the end: the Map's order is the order of use.
    this.#known.set(token, known);
    return known.claims;
  }

  /**
   * Who sent this `authorization` header. Takes the schemes `Bearer`, `FlyV1`, and `Bearer FlyV1`.
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

/** What {@link requireScope} needs to know of a call. */
export interface Caller {
  readonly claims: Claims | undefined;
}

/**
 * Lets a call go on only when its token has at least one of `scopes`; returns who calls.
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

/** Whether a method (its full path) may be called without a token. */
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
  // A scope this version does not know grants nothing here.
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
