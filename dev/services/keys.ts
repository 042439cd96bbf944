import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { generateKeyPair, mintToken } from "../../src/lib/auth/auth.ts";
import { writeDurably } from "../../src/lib/stores/durable-file.ts";
import type { Layout } from "../settings/layout.ts";

/** The organisation of the development token; `api` makes it with its first migration. */
export const DEVELOPMENT_ORG = "personal";
const TEN_YEARS_S = 10 * 365 * 24 * 3600;

/** Tokens of a fleet. */
export interface Tokens {
  /** A person's: everything within the organisation `personal`, and administration. */
  readonly development: string;
  /** For services and tools that send spans. */
  readonly telemetry: string;
}

/** Makes the fleet's keys and its development token, once. Only we may read them. */
export async function ensureKeys(layout: Layout): Promise<Tokens> {
  if (!existsSync(layout.signingKeyFile) || !existsSync(layout.publicKeyFile)) {
    const pair = generateKeyPair();
    await writePrivately(layout.publicKeyFile, pair.publicKey);
    await writePrivately(layout.signingKeyFile, pair.privateKey);
    await writePrivately(layout.tokenFile, await mintDevelopmentToken(pair.privateKey));
  }
  const signingKey = readFileSync(layout.signingKeyFile, "utf8");
  if (!existsSync(layout.tokenFile)) {
    await writePrivately(layout.tokenFile, await mintDevelopmentToken(signingKey));
  }
  return {
    development: readFileSync(layout.tokenFile, "utf8").trim(),
    telemetry: await mintToken(
      signingKey,
      { subject: "telemetry", org: "", scopes: ["internal"] },
      TEN_YEARS_S,
    ),
  };
}

function mintDevelopmentToken(signingKey: string): Promise<string> {
  const scopes = ["machines:read", "machines:write", "admin"] as const;
  return mintToken(signingKey, { subject: "developer", org: DEVELOPMENT_ORG, scopes }, TEN_YEARS_S);
}

/** Whole or not at all, and never readable by others, not even for a moment. */
async function writePrivately(path: string, content: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  await writeDurably(path, `${content.trimEnd()}\n`);
}
