import { closeSync, openSync, readSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import type { Extent } from "../../src/hostd/vmm/qemu/process/guest-assets.ts";
import { restoreDisk } from "../../src/hostd/vmm/qemu/process/scratch-disk.ts";
import { run } from "./run.ts";

const TIMEOUT_MS = 60_000;
const WINDOW = 1024 * 1024;
const BLOCK = 4096;
/** The inode tables of the default size are 128 MiB; the root directory comes right after. */
const METADATA_BYTES = 192 * 1024 * 1024;
/**
 * No journal, no spare copies, no checksums: the disk is thrown away after one run. All metadata lies at the front, and what can be
 * left for later is.
 */
const FEATURES = "^has_journal,^resize_inode,sparse_super2,^metadata_csum,uninit_bg";
const LAYOUT = "packed_meta_blocks=1,lazy_itable_init=1,nodiscard,num_backup_sb=0";
/** Without chance and without time, so that equal sizes give equal bytes. */
const FIXED = { uuid: "77696e64-686f-7665-7220-736372617463", time: "1" };

/**
 * Makes an empty ext4 file system of `sizeBytes` and writes what of it is not zero to `output`, one extent after the other. From
 * these a new disk is made within a millisecond, without a tool.
 */
export async function makeScratchTemplate(output: string, sizeBytes: number): Promise<Extent[]> {
  const disk = `${output}.disk`;
  try {
    writeFileSync(disk, "");
    truncateSync(disk, sizeBytes);
    const shape = [
      "-O",
      FEATURES,
      "-E",
      `${LAYOUT},hash_seed=${FIXED.uuid}`,
      "-m",
      "0",
      "-i",
      "16384",
      "-I",
      "256",
    ];
    const env = { E2FSPROGS_FAKE_TIME: FIXED.time };
    await run("mke2fs", ["-q", "-F", "-t", "ext4", ...shape, "-U", FIXED.uuid, disk], {
      timeoutMs: TIMEOUT_MS,
      env,
    });
    const { extents, data } = readExtents(disk);
    rmSync(disk);
    // Proof that nothing was missed: the disk made from the extents alone is sound.
    restoreDisk(disk, sizeBytes, extents, data);
    await run("e2fsck", ["-f", "-n", disk], { timeoutMs: TIMEOUT_MS });
    writeFileSync(output, data);
    return extents;
  } finally {
    rmSync(disk, { force: true });
  }
}

/** Reads the front of the disk, where all metadata lies. The rest would be gigabytes of holes. */
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
