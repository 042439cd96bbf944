import { isPlain } from "../../../lib/auth/biscuit/block-source.ts";
import { dateOf } from "../../../lib/auth/biscuit/user-token.ts";
import { UsageError } from "../../session/faults/usage-error.ts";

/** Restrictions of a token. An absent one restricts nothing. */
export interface Restrictions {
  readonly org?: readonly string[];
  readonly app?: readonly string[];
  readonly machine?: readonly string[];
  readonly action?: readonly string[];
  /** Milliseconds. */
  readonly ttl?: number;
  readonly expires?: Date;
}

/** Writes restrictions as Datalog. @throws UsageError */
export function datalogOf({ org, app, machine, action, ttl, expires }: Restrictions, nowMs: number): string {
  const checks = Object.entries({ org, app, machine, action }).flatMap(([name, values]) => {
    if (values === undefined) return [];
    const wrong = values.find((value) => !isPlain(value));
    if (wrong !== undefined) throw new UsageError(`--${name} cannot be "${wrong}".`);
    return [`check if ${values.map((value) => `${name}("${value}")`).join(" or ")}`];
  });
  if (ttl !== undefined) checks.push(`check if time($time), $time < ${dateOf(nowMs + ttl)}`);
  if (expires !== undefined) checks.push(`check if time($time), $time < ${dateOf(expires.getTime())}`);
  if (checks.length === 0)
    throw new UsageError("Say what to restrict: --org, --app, --machine, --action or --expires.");
  return `${checks.join(";\n")};`;
}
