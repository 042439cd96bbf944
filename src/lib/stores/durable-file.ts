import { renameSync, writeFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Replaces a file and syncs file and folder, so that the new content survives a power cut. A crash before that leaves
 * the old content or the new, whole. Calls for the same path must not overlap.
 *
 * @param mode of the file, default 0o600
 */
export async function writeDurably(path: string, content: string, mode = 0o600): Promise<void> {
  const draft = `${path}.new`;
  const file = await open(draft, "w", mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  await syncFolder(dirname(path));
}

/** Syncs a folder: the names in it survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Replaces a file without syncing it: readers see the old content or the new, whole. For what a power cut makes worthless. */
export function replaceFileSync(path: string, content: string, mode = 0o600): void {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, content, { mode });
  renameSync(draft, path);
}
