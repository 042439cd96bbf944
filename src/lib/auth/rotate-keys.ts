import { rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../faults/fault.ts";
import { writeDurably } from "../stores/durable-file.ts";
import { ACTIVATION_MS, privateFile, publicFile, readKeys } from "./key-directory.ts";
import { generateKeyPair } from "./keys.ts";

/**
 * Adds a key pair to a folder, which is made when it is not there. Its public key comes first: no
 * token is signed before everybody who reads the folder can verify it.
 *
 * @returns the id of the new key
 */
export async function rotateKeys(folder: string): Promise<number> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const id = (readKeys(folder, false).at(-1)?.id ?? 0) + 1;
  const { publicKey, privateKey } = generateKeyPair();
  await writeDurably(join(folder, publicFile(id)), publicKey);
  await writeDurably(join(folder, privateFile(id)), privateKey);
  return id;
}

/** Until every service signs with a new key, with a margin. */
const SETTLE_MS = 2 * ACTIVATION_MS;

/**
 * Removes a key: every token that it has signed is void.
 *
 * @throws Fault NOT_FOUND / `KEY_UNKNOWN`; FAILED_PRECONDITION / `KEY_IN_USE` for one that may sign still
 */
export function removeKey(folder: string, id: number): void {
  const keys = readKeys(folder, true);
  if (!keys.some((key) => key.id === id)) {
    const facts = { key: String(id), folder };
    throw new Fault("NOT_FOUND", "KEY_UNKNOWN", `there is no key ${id} in ${folder}`, facts);
  }
  const newest = keys.at(-1);
  const waitMs = (newest?.createTimeMs ?? 0) + SETTLE_MS - Date.now();
  if (newest?.id === id || waitMs > 0) {
    const why =
      newest?.id === id ? "is the newest and signs; rotate first" : "may sign for a few seconds yet";
    const extra = newest?.id === id ? {} : { retryAfterMs: waitMs };
    throw new Fault("FAILED_PRECONDITION", "KEY_IN_USE", `key ${id} ${why}`, { key: String(id) }, extra);
  }
  for (const file of [privateFile(id), publicFile(id)]) rmSync(join(folder, file), { force: true });
}
