import type { Scope } from "../lib/auth/claims.ts";
import { checkRestrictions, type Restricted, type RpcRule } from "../lib/auth/rpc-rules.ts";
import { Fault } from "../lib/faults/fault.ts";
import type { Origin } from "./store/summary.ts";

/** Spans that a client may send in one request. */
export const MAX_CLIENT_SPANS_PER_REQUEST = 16;

/** Reading: of all, and of an organisation. */
const READ_ALL = readRule("admin");
const READ_OWN = readRule("machines:read");

function readRule(scope: Scope): RpcRule {
  return { action: "traces:read", scopes: [scope], isAudited: false, needsGoodStanding: false };
}

/**
 * Decides whom the spans of a token speak for: a service's (`telemetry`) are trusted; a user's
 * (`machines:write` or `admin`) are for its own organisation, within narrow bounds.
 *
 * @throws Fault PERMISSION_DENIED / `SCOPE_MISSING`
 */
export function writerOf(claims: Restricted): Origin {
  if (claims.scopes.includes("telemetry")) return { kind: "service" };
  if (claims.scopes.includes("machines:write") || claims.scopes.includes("admin")) {
    return { kind: "client", org: claims.org };
  }
  throw missing("telemetry or machines:write");
}

/**
 * Returns the organisation whose traces a token may read; undefined: all.
 *
 * @throws Fault PERMISSION_DENIED / `SCOPE_MISSING`, `TOKEN_RESTRICTED`
 */
export function readableOrg(claims: Restricted, now: number): string | undefined {
  let refusal: unknown = missing("machines:read or admin");
  for (const rule of [READ_ALL, READ_OWN]) {
    if (!rule.scopes.some((scope) => claims.scopes.includes(scope))) continue;
    try {
      checkRestrictions(claims, rule, {}, now);
      return rule === READ_ALL ? undefined : claims.org;
    } catch (err) {
      refusal = err;
    }
  }
  throw refusal;
}

function missing(scope: string): Fault {
  return new Fault("PERMISSION_DENIED", "SCOPE_MISSING", `the token lacks the scope ${scope}`, { scope });
}
