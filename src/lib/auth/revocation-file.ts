import { readFileSync, statSync } from "node:fs";
import * as z from "zod";
import { startLoop } from "../runtime/lifecycle.ts";
import { logger } from "../runtime/log.ts";
import { writeDurably } from "../stores/durable-file.ts";
import type { RevocationList, Revocations } from "./revocations.ts";

const REREAD_MS = 500;

const schema = z.object({
  version: z.int(),
  tokens: z.array(z.string()),
  orgs: z.array(z.object({ org: z.string(), isSuspended: z.boolean(), notBeforeMs: z.number() })),
});

/** Writes a list, so that the service knows it after a restart, whoever is away. */
export async function writeRevocations(path: string, list: RevocationList): Promise<void> {
  await writeDurably(path, `${JSON.stringify(list)}\n`);
}

/** Reads a list that was written before. A file that is missing or broken changes nothing. */
export function readRevocations(path: string, revocations: Revocations): void {
  try {
    revocations.replace(schema.parse(JSON.parse(readFileSync(path, "utf8"))));
  } catch (error) {
    if (isMissing(error)) return;
    logger.error("the list of revocations cannot be read", { path, error });
  }
}

/** Follows a file that another service on this host writes. Returns a function that stops it. */
export function followRevocations(path: string, revocations: Revocations): () => Promise<void> {
  let seen = "";
  const look = () => {
    const stat = statSync(path, { throwIfNoEntry: false });
    const now = stat ? `${stat.mtimeMs} ${stat.ino}` : "";
    if (now === seen) return;
    seen = now;
    readRevocations(path, revocations);
  };
  look();
  return startLoop(REREAD_MS, 0, look, { name: "read revocations" });
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
