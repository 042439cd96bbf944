import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import type { Extent } from "./guest-assets.ts";

/**
 * Makes an empty disk from its extents: a sparse file of `sizeBytes` that takes as much room as they do. Fails when the file is
 * there already.
 */
export function restoreDisk(file: string, sizeBytes: number, extents: readonly Extent[], data: Buffer): void {
  const fd = openSync(file, "wx", 0o600);
  try {
    ftruncateSync(fd, sizeBytes);
    let from = 0;
    for (const [offset, length] of extents) {
      writeSync(fd, data, from, length, offset);
      from += length;
    }
  } finally {
    closeSync(fd);
  }
}

/** Where a file system notes that it is mounted, and since when; it keeps the truth in memory and never reads that again. */
const SUPERBLOCK_END = 2_048;

/** How much room a disk takes on the host, in whatever the host's file system counts by. */
export async function roomOf(file: string): Promise<number> {
  return (await stat(file)).blocks;
}

/** Whether a disk that {@link restoreDisk} has made, and that took `room` then, is as it was, but for the superblock. */
export async function isAsMade(
  file: string,
  room: number,
  extents: readonly Extent[],
  data: Buffer,
): Promise<boolean> {
  // What is written where there was nothing takes room.
  if ((await roomOf(file)) > room) return false;
  const disk = await open(file, "r");
  try {
    let from = 0;
    for (const [offset, length] of extents) {
      const now = Buffer.alloc(length);
      await disk.read(now, 0, length, offset);
      const skipped = Math.min(length, Math.max(0, SUPERBLOCK_END - offset));
      if (!now.subarray(skipped).equals(data.subarray(from + skipped, from + length))) return false;
      from += length;
    }
    return true;
  } finally {
    await disk.close();
  }
}
