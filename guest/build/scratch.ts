import { closeSync, openSync, readSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import type { Extent } from "../../src/hostd/vmm/qemu/process/guest-assets.ts";
import { restoreDisk } from "../../src/hostd/vmm/qemu/process/scratch-disk.ts";
import { run } from "../../tools/lib/run.ts";

const TIMEOUT_MS = 60_000;
const WINDOW = 1024 * 1024;
const BLOCK = 4096;
/** The inode tables of the default size are 128 MiB; the root directory comes right after. */
const METADATA_BYTES = 192 * 1024 * 1024;
/** Gives equal bytes for equal sizes. */
const UUID = "77696e64-686f-7665-7220-736372617463";
const FAKE_TIME = "1";
/** Without journal, copies and checksums, as the disk serves once; with all metadata in front. */
const LAYOUT = [
  ...["-O", "^has_journal,^resize_inode,sparse_super2,^metadata_csum,uninit_bg"],
  ...["-E", `packed_meta_blocks=1,lazy_itable_init=1,nodiscard,num_backup_sb=0,hash_seed=${UUID}`],
  ...["-U", UUID, "-m", "0", "-i", "16384", "-I", "256"],
];

/**
 * Makes an empty ext4 file system of `sizeBytes` and writes its non-zero blocks to `output`, one
 * extent after the other. From these hostd makes a new disk within a millisecond.
 */
export async function makeScratchTemplate(output: string, sizeBytes: number): Promise<Extent[]> {
  const disk = `${output}.disk`;
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    writeFileSync(disk, "");
    truncateSync(disk, sizeBytes);
    const env = { ...process.env, E2FSPROGS_FAKE_TIME: FAKE_TIME };
    await run("mke2fs", ["-q", "-F", "-t", "ext4", ...LAYOUT, disk], { signal, env });
    const { extents, data } = readExtents(disk);
    rmSync(disk);
    // A disk made from the extents alone must be sound.
    restoreDisk(disk, sizeBytes, extents, data);
    await run("e2fsck", ["-f", "-n", disk], { signal });
    writeFileSync(output, data);
    return extents;
  } finally {
    rmSync(disk, { force: true });
  }
}

/** Reads the front of the disk, where all metadata is; the rest is a hole of gigabytes. */
function readExtents(file: string): { extents: Extent[]; data: Buffer } {
  const fd = openSync(file, "r");
  try {
    const extents: [number, number][] = [];
    const parts: Buffer[] = [];
    const window = Buffer.alloc(WINDOW);
    const zero = Buffer.alloc(BLOCK);
    for (let start = 0; start < METADATA_BYTES; start += WINDOW) {
      const n = readSync(fd, window, 0, WINDOW, start);
      for (let from = 0; from < n; from += BLOCK) {
        const block = window.subarray(from, Math.min(from + BLOCK, n));
        if (block.equals(zero)) continue;
        parts.push(Buffer.from(block));
        const last = extents.at(-1);
        if (last && last[0] + last[1] === start + from) last[1] += block.length;
        else extents.push([start + from, block.length]);
      }
    }
    return { extents, data: Buffer.concat(parts) };
  } finally {
    closeSync(fd);
  }
}
