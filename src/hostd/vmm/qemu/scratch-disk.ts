import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import type { Extent } from "./assets.ts";

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
