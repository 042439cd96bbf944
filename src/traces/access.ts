import { Fault } from "../lib/faults/fault.ts";
import type { Origin } from "./store/summary.ts";

/** The claims of a token that the receiver uses. */
export interface Reader {
  readonly org: string;
  readonly scopes: readonly string[];
}

/** Spans that a client may send in one request. */
export const MAX_CLIENT_SPANS_PER_REQUEST = 16;

/**
 * Decides whom the spans of a token speak for: a service's (`telemetry`) are trusted; a user's
 * (`machines:write` or `admin`) are for its own organisation, within narrow bounds.
 *
 * @throws Fault PERMISSION_DENIED / `SCOPE_MISSING`
 */
export function writerOf(claims: Reader): Origin {
  if (claims.scopes.includes("telemetry")) return { kind: "service" };
  if (claims.scopes.includes("machines:write") || claims.scopes.includes("admin")) {
    return { kind: "client", org: claims.org };
  }
  throw missing("telemetry or machines:write");
}

/**
 * Returns the organisation whose traces a token may read; undefined: all.
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
