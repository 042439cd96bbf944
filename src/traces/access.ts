import { Fault } from "../lib/runtime/fault.ts";
import type { Origin } from "./domain/summary.ts";

/** What a token says, as far as the receiver cares. */
export interface Reader {
  readonly org: string;
  readonly scopes: readonly string[];
}

/** Spans that a client may send in one request. */
export const MAX_CLIENT_SPANS_PER_REQUEST = 16;

/**
 * In whose name spans are written: a service's token (`internal`) is believed; a user's (`machines:write` or `admin`: `hover` sends the root
 * span of its commands) speaks for its own organisation and within narrow bounds.
 *
 * @throws Fault PERMISSION_DENIED / `SCOPE_MISSING`
 */
export function writerOf(claims: Reader): Origin {
  if (claims.scopes.includes("internal")) return { kind: "service" };
  if (claims.scopes.includes("machines:write") || claims.scopes.includes("admin")) {
    return { kind: "client", org: claims.org };
  }
  throw missing("internal or machines:write");
}

/**
 * The organisation whose traces a token may read; undefined: all.
 *
 * @throws Fault PERMISSION_DENIED / `SCOPE_MISSING`
 */
export function readableOrg(claims: Reader): string | undefined {
  if (claims.scopes.includes("admin")) return undefined;
  if (claims.scopes.includes("machines:read")) return claims.org;
  throw missing("machines:read or admin");
}

function missing(scope: string): Fault {
  return new Fault("PERMISSION_DENIED", "SCOPE_MISSING", `the token lacks the scope ${scope}`, { scope });
}
