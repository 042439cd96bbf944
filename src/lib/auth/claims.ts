import { Fault } from "../faults/fault.ts";
import type { Check } from "./checks.ts";

export const SCOPES = ["machines:read", "machines:write", "admin", "internal", "telemetry"] as const;
/** What a token allows. No scope implies another. `internal` and `telemetry` are for services only. */
export type Scope = (typeof SCOPES)[number];

/** What a token is made for. */
export interface Grant {
  readonly subject: string;
  /** The organisation that the caller acts for; empty for a service. */
  readonly org: string;
  readonly scopes: readonly Scope[];
}

/** The verified content of a token: who calls, and what they may do. */
export interface Claims extends Grant {
  /** Id of the token that was issued, whoever has attenuated it since. */
  readonly id: string;
  /** The same and the ids of blocks that holders have added: each can be revoked. */
  readonly ids: readonly string[];
  /** Milliseconds since the epoch. */
  readonly issuedMs: number;
  readonly expiresMs: number;
  /** What holders have restricted it to, besides time. */
  readonly checks: readonly Check[];
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

export function missing(): Fault {
  return new Fault(
    "UNAUTHENTICATED",
    "TOKEN_MISSING",
    "a token is needed: send it in the authorization header as `Bearer <token>`",
  );
}

export function expired(cause?: unknown): Fault {
  return new Fault("UNAUTHENTICATED", "TOKEN_EXPIRED", "the token has expired", {}, { cause });
}

export function revoked({ id, org }: Claims): Fault {
  const message = "the token has been revoked, or all tokens of its organisation of that time";
  return new Fault("UNAUTHENTICATED", "TOKEN_REVOKED", message, { token: id, org });
}

export function rejected(why: string, cause?: unknown): Fault {
  return new Fault("UNAUTHENTICATED", "TOKEN_INVALID", `the token is not valid: ${why}`, {}, { cause });
}
