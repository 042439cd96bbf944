import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { generateKeyPair, mintToken } from "../../src/lib/auth/auth.ts";
import { writeDurably } from "../../src/lib/stores/durable-file.ts";
import type { Layout } from "../settings/layout.ts";

/** Made by the first migration of `api`. */
const DEVELOPMENT_ORG = "personal";
const TEN_YEARS_S = 10 * 365 * 24 * 3600;

/** Tokens of a fleet. */
export interface Tokens {
  /** For a person: everything in the organisation `personal`, and administration. */
  readonly development: string;
  /** For services and tools that send spans. */
  readonly telemetry: string;
}

/** Makes the fleet's keys and its development token, once. Only we may read them. */
export async function ensureKeys(layout: Layout): Promise<Tokens> {
  const { signingKeyFile, publicKeyFile, tokenFile } = layout;
  if (!existsSync(signingKeyFile) || !existsSync(publicKeyFile)) {
    const pair = generateKeyPair();
    await writePrivately(publicKeyFile, pair.publicKey);
    await writePrivately(signingKeyFile, pair.privateKey);
    rmSync(tokenFile, { force: true });
  }
  const signingKey = readFileSync(signingKeyFile, "utf8");
  if (!existsSync(tokenFile)) {
    const scopes = ["machines:read", "machines:write", "admin"] as const;
    const claims = { subject: "developer", org: DEVELOPMENT_ORG, scopes };
    await writePrivately(tokenFile, await mintToken(signingKey, claims, TEN_YEARS_S));
  }
  const telemetry = { subject: "telemetry", org: "", scopes: ["internal"] } as const;
  return {
    development: readFileSync(tokenFile, "utf8").trim(),
    telemetry: await mintToken(signingKey, telemetry, TEN_YEARS_S),
  };
}

async function writePrivately(path: string, content: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  await writeDurably(path, `${content.trimEnd()}\n`);
}
