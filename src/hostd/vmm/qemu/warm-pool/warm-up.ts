import { randomBytes } from "node:crypto";
import { copyFileSync, renameSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import type { Agent } from "../guest-channel/agent.ts";
import { warmUpMessage } from "../guest-protocol/protocol.ts";
import type { GuestAssets } from "../process/guest-assets.ts";

const ENTROPY_BYTES = 64;
/**
 * Apparent size of a warm VM's root disk. The guest does not notice when an image replaces it, so
 * it must be larger than any image; each file system knows its own size.
 */
const ROOT_DISK_BYTES = 256 * 1024 ** 3;

/** Makes the root disk of warm-ups in `dir`, if it does not exist, and returns its path. */
export function warmUpDisk(dir: string, assets: GuestAssets): string {
  const file = join(dir, `warm-up-${assets.hash.slice(0, 16)}.disk`);
  if (statSync(file, { throwIfNoEntry: false })?.size === ROOT_DISK_BYTES) return file;
  const draft = `${file}.${process.pid}`;
  rmSync(draft, { force: true });
  copyFileSync(assets.warmUp, draft);
  truncateSync(draft, ROOT_DISK_BYTES);
  renameSync(draft, file);
  return file;
}

/** Makes a waiting guest do one warm-up. Rejects when it fails. */
export async function warmUp(agent: Agent, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const before = agent.state?.warmUps ?? 0;
  agent.run((nowUs) => warmUpMessage(nowUs, randomBytes(ENTROPY_BYTES)));
  const { state, failure } = await agent.waitFor(
    ({ state, warmUps }) => state === "failed" || (state === "waiting" && warmUps > before),
    signal,
  );
  if (state === "failed") {
    throw new Error(`warm-up failed at ${failure.step}: ${failure.detail} (${failure.errno})`);
  }
}
