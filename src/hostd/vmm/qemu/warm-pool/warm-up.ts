import { randomBytes } from "node:crypto";
import { copyFileSync, renameSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { abortable } from "../../../../lib/runtime/abort.ts";
import type { Agent } from "../guest-channel/agent.ts";
import { warmUpMessage } from "../guest-channel/protocol.ts";
import type { GuestAssets } from "../process/guest-assets.ts";

const ENTROPY_BYTES = 64;
/**
 * Apparent size of the file that the root disk of a waiting VM reads. The guest never learns that the disk's size changes when an image
 * takes its place, so it must be told of more than any image has; each file system knows its own size.
 */
export const ROOT_DISK_BYTES = 256 * 1024 ** 3;

/** Makes, in `dir`, the root disk that VMs rehearse with, unless it is there. Returns its path. */
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

/** Lets a waiting guest rehearse once. Rejects when it goes wrong. */
export async function warmUp(agent: Agent, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const before = agent.state?.warmUps ?? 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  agent.listener = {
    onState({ state, warmUps, failure }) {
      const { step, errno, detail } = failure;
      if (state === "failed") reject(new Error(`warm-up failed at ${step}: ${detail} (${errno})`));
      else if (state === "waiting" && warmUps > before) resolve();
    },
    onLines() {},
  };
  void agent.closed.then(() => reject(new Error("the guest's channel was closed")));
  agent.run((nowUs) => warmUpMessage(nowUs, randomBytes(ENTROPY_BYTES)));
  try {
    await abortable(promise, signal);
  } finally {
    agent.listener = { onState() {}, onLines() {} };
  }
}
