import { Fault } from "../faults/fault.ts";
import type { Scope } from "./claims.ts";
import { checkRestrictions, type Restricted, type RpcRule } from "./rpc-rules.ts";

/** Reading traces: of all, and of an organisation. */
const READ_ALL = readRule("admin");
const READ_OWN = readRule("machines:read");

function readRule(scope: Scope): RpcRule {
  return { action: "traces:read", scopes: [scope], isAudited: false, needsGoodStanding: false };
}

/**
 * Returns the organisation whose traces a token may read; undefined: all.
 *
 * @throws Fault PERMISSION_DENIED / `SCOPE_MISSING`, `TOKEN_RESTRICTED`
 */
export function readableOrg(claims: Restricted, now: number): string | undefined {
  let refusal: unknown = scopeMissing("machines:read or admin");
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

export function scopeMissing(scope: string): Fault {
  return new Fault("PERMISSION_DENIED", "SCOPE_MISSING", `the token lacks the scope ${scope}`, { scope });
}
