import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import type { Extent } from "./guest-assets.ts";

/** Makes an empty disk, a sparse file with these extents. Fails when the file exists. */
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

/** Up to here a mount writes into the superblock, which the file system does not read again. */
const SUPERBLOCK_END = 2_048;

/** Counts a file's allocated blocks. Syncs it first, which may allocate more for their list. */
export async function allocatedBlocks(file: string): Promise<number> {
  const handle = await open(file, "r");
  try {
    await handle.sync();
    return (await handle.stat()).blocks;
  } finally {
    await handle.close();
  }
}

/** Whether only the superblock of a disk, which had `blocks` allocated when made, has changed. */
export async function isUnwritten(
  file: string,
  blocks: number,
  extents: readonly Extent[],
  data: Buffer,
): Promise<boolean> {
  // Data in a hole allocates blocks.
  if ((await allocatedBlocks(file)) > blocks) return false;
  const disk = await open(file, "r");
  try {
    let from = 0;
    for (const [offset, length] of extents) {
      const present = Buffer.alloc(length);
      await disk.read(present, 0, length, offset);
      const skipped = Math.min(length, Math.max(0, SUPERBLOCK_END - offset));
      if (!present.subarray(skipped).equals(data.subarray(from + skipped, from + length))) return false;
      from += length;
    }
    return true;
  } finally {
    await disk.close();
  }
}
