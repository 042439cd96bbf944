import type { Limits as WireLimits } from "../../gen/windhover/admin/v1/organizations.ts";
import type { Violations } from "../../lib/faults/violations.ts";
import { ACTIONS, type Action, checkRate, isAction, type Limits, type Rate } from "./rates.ts";

const MAX_CREATES = 100_000;

/** Returns null for limits that say nothing; adds every violation. */
export function limitsFromProto(
  { rates, createsInProgress }: WireLimits,
  violations: Violations,
): Limits | null {
  const isNumber = createsInProgress >= 0 && createsInProgress <= MAX_CREATES;
  violations.check(isNumber, "limits.creates_in_progress", `must be 0 to ${MAX_CREATES}`);
  violations.check(rates.length <= ACTIONS.length, "limits.rates", "must have each action at most once");
  const byAction = new Map<Action, Rate>();
  for (const [i, { action, perSecond, burst }] of rates.slice(0, ACTIONS.length).entries()) {
    const at = `limits.rates[${i}]`;
    violations.add(at, checkRate({ perSecond, burst }));
    if (!isAction(action)) violations.add(`${at}.action`, `must be one of ${ACTIONS.join(", ")}`);
    else if (byAction.has(action)) violations.add(`${at}.action`, `${action} is there already`);
    else byAction.set(action, { perSecond, burst });
  }
  if (byAction.size === 0 && createsInProgress === 0) return null;
  return { rates: Object.fromEntries(byAction), ...(createsInProgress === 0 ? {} : { createsInProgress }) };
}

export function limitsToProto({ rates, createsInProgress = 0 }: Limits): WireLimits {
  return {
    rates: ACTIONS.flatMap((action) => {
      const rate = rates[action];
      return rate ? [{ action, ...rate }] : [];
    }),
    createsInProgress,
  };
}
