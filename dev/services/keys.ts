import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { mintToken, TokenVerifier } from "../../src/lib/auth/auth.ts";
import type { Scope } from "../../src/lib/auth/claims.ts";
import { KeyDirectory } from "../../src/lib/auth/key-directory.ts";
import type { SigningKey } from "../../src/lib/auth/keys.ts";
import { rotateKeys } from "../../src/lib/auth/rotate-keys.ts";
import { openSealingKeys } from "../../src/lib/sealing/sealing-keys.ts";
import { writeDurably } from "../../src/lib/stores/durable-file.ts";
import type { Layout } from "../settings/layout.ts";

/** Made by the first migration of `api`. */
const DEVELOPMENT_ORG = "personal";
const DAY_S = 24 * 3_600;
/** The token of a person; a fleet that is brought up renews it in its second half. */
const DEVELOPMENT_TTL_S = 30 * DAY_S;
const SERVICE_TTL_S = 3_600;

/** Tokens of a fleet. */
export interface Tokens {
  /** For a person: everything in the organisation `personal`, and administration. */
  readonly development: string;
  /** For the supervisor's questions to services while the fleet comes up. */
  readonly internal: string;
}

/** Makes the fleet's keys, once, and its tokens. Only we may read them. */
export async function ensureKeys(layout: Layout): Promise<Tokens> {
  const { keysDir, tokenFile } = layout;
  mkdirSync(keysDir, { recursive: true, mode: 0o700 });
  chmodSync(keysDir, 0o700);
  if (!existsSync(join(keysDir, "1.public.pem"))) await rotateKeys(keysDir);
  // Before the apis: each would make a key of its own.
  await openSealingKeys(layout.sealingKeysDir);
  if (!(await isFresh(layout))) {
    await writePrivately(tokenFile, await mint(layout, DEVELOPMENT_ORG, "developer", DEVELOPMENT_TTL_S));
  }
  return {
    development: readFileSync(tokenFile, "utf8").trim(),
    internal: await mint(layout, "", "supervisor", SERVICE_TTL_S, ["internal"]),
  };
}

/** The token with which services send their spans; they read its file again when it changes. */
export class TelemetryToken {
  readonly #layout: Layout;
  #keyId = 0;
  #renewAtMs = 0;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** Writes a new one when another key signs, or a third of its life is over. */
  async renew(): Promise<void> {
    const { id } = await signingKey(this.#layout);
    if (id === this.#keyId && Date.now() < this.#renewAtMs) return;
    const token = await mint(this.#layout, "", "telemetry", SERVICE_TTL_S, ["telemetry"]);
    await writePrivately(this.#layout.telemetryTokenFile, token);
    this.#keyId = id;
    this.#renewAtMs = Date.now() + (SERVICE_TTL_S / 3) * 1_000;
  }
}

async function mint(
  layout: Layout,
  org: string,
  subject: string,
  ttlSeconds: number,
  scopes: readonly Scope[] = ["machines:read", "machines:write", "admin"],
): Promise<string> {
  return await mintToken(await signingKey(layout), { subject, org, scopes }, ttlSeconds);
}

async function signingKey({ keysDir }: Layout): Promise<SigningKey> {
  const keys = new KeyDirectory(keysDir, true);
  await keys.close();
  return keys.signing();
}

/** Whether the development token is of these keys and has more than half of its time left. */
async function isFresh({ keysDir, tokenFile }: Layout): Promise<boolean> {
  const keys = new KeyDirectory(keysDir, false);
  await keys.close();
  try {
    const token = readFileSync(tokenFile, "utf8").trim();
    const { expiresMs } = await new TokenVerifier(keys).verify(`Bearer ${token}`);
    return expiresMs - Date.now() > (DEVELOPMENT_TTL_S / 2) * 1_000;
  } catch {
    return false;
  }
}

async function writePrivately(path: string, content: string): Promise<void> {
  await writeDurably(path, `${content.trimEnd()}\n`);
}
