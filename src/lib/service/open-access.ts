import { TokenVerifier } from "../auth/auth.ts";
import { KeyDirectory } from "../auth/key-directory.ts";
import { followRevocations } from "../auth/revocation-file.ts";
import { Revocations } from "../auth/revocations.ts";
import type { Stack } from "../runtime/lifecycle.ts";

/** Where a service finds what tokens are checked with. */
export interface AccessConfig {
  readonly keysDir: string;
  /** Written by the api or hostd of this host. Absent: nobody follows a file. */
  readonly revocationsFile?: string | undefined;
}

/** What a service checks and signs tokens with. */
export interface Access {
  readonly keys: KeyDirectory;
  readonly revocations: Revocations;
  readonly verifier: TokenVerifier;
}

/** Opens keys and revocations. @param isSigner whether the service signs tokens */
export function openAccess(stack: Stack, config: AccessConfig, isSigner: boolean): Access {
  const keys = new KeyDirectory(config.keysDir, isSigner);
  stack.add("keys", () => keys.close());
  const revocations = new Revocations();
  if (config.revocationsFile !== undefined) {
    stack.add("revocations", followRevocations(config.revocationsFile, revocations));
  }
  return { keys, revocations, verifier: new TokenVerifier(keys, undefined, revocations) };
}
