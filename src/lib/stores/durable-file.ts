import { renameSync, writeFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Replaces a file. When it resolves, the new content survives a power cut: file
 * and folder have been synced. A crash before that leaves the old content or the new, whole.
 *
 * Calls for the same path must not overlap.
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

/** Makes the names in a folder survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Replaces a file without syncing it: readers, and a crash of this process, see the old content or the new, whole. For
 * what is made anew after a power cut.
 */
export function replaceFileSync(path: string, content: string, mode = 0o600): void {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, content, { mode });
  renameSync(draft, path);
}
