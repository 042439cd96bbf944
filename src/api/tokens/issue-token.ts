import { issueToken } from "../../lib/auth/auth.ts";
import type { Grant } from "../../lib/auth/claims.ts";
import type { SigningKeys } from "../../lib/auth/keys.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import type { TokenStore } from "./token-store.ts";

/** Longest life of a token that an api makes. */
export const LONGEST_LIFE_MS = 366 * 24 * 3_600_000;

/** What is needed to make tokens for users. */
export interface TokenParts {
  readonly keys: SigningKeys;
  readonly tokens: Pick<TokenStore, "add">;
  readonly clock: Clock;
}

/** Makes a token and records everything but its text. @param creator who asks for it */
export async function issueRecorded(
  { keys, tokens, clock }: TokenParts,
  grant: Grant,
  ttlSeconds: number,
  creator: string,
): Promise<{ readonly token: string; readonly id: string; readonly expiresMs: number }> {
  const issued = await issueToken(keys.signing(), grant, ttlSeconds, clock);
  const { id, token, expiresMs: expireTimeMs } = issued;
  await tokens.add({ ...grant, id, creator, last4: token.slice(-4), expireTimeMs });
  return issued;
}
