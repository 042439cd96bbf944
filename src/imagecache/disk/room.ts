import { statfs, unlink } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOf, parseDigest } from "../../lib/oci/digest.ts";
import { logger } from "../../lib/runtime/log.ts";
import { countEviction } from "../metrics.ts";
import { type CacheDir, namesIn } from "./cache-dir.ts";
import { type Candidate, evict, RESERVE_BYTES } from "./evict.ts";
import { diskFull, fileInfo, isMissing } from "./files.ts";
import type { ImageFiles } from "./image-files.ts";

/** Keeps the cache within its budget: removes what was not used for longest, and never what is in use. */
export class Room {
  readonly #dir: CacheDir;
  readonly #images: ImageFiles;
  readonly budgetBytes: number;
  readonly #isNeeded: (digest: Digest) => boolean;
  /** Blobs that a pull is working with, and how many are. */
  readonly #busy = new Map<Digest, number>();
  #turn: Promise<unknown> = Promise.resolve();

  /** @param isNeeded whether an image may not go */
  constructor(dir: CacheDir, images: ImageFiles, budgetBytes: number, isNeeded: (digest: Digest) => boolean) {
    this.#dir = dir;
    this.#images = images;
    this.budgetBytes = budgetBytes;
    this.#isNeeded = isNeeded;
  }

  /** Keeps blobs from being evicted while `work` runs. */
  async holding<T>(blobs: readonly Digest[], work: () => Promise<T>): Promise<T> {
    for (const blob of blobs) this.#busy.set(blob, (this.#busy.get(blob) ?? 0) + 1);
    try {
      return await work();
    } finally {
      for (const blob of blobs) {
        const others = (this.#busy.get(blob) ?? 1) - 1;
        if (others === 0) this.#busy.delete(blob);
        else this.#busy.set(blob, others);
      }
    }
  }

  /**
   * Makes room for so many bytes; 0 brings the cache back within its budget after it has grown.
   *
   * @throws Fault RESOURCE_EXHAUSTED / `DISK_FULL`
   */
  make(neededBytes: number): Promise<void> {
    // One at a time: two that count the same victims would both believe in the same room.
    const turn = this.#turn.then(() => this.#make(neededBytes));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Disk space the cache takes, in bytes. */
  async usedBytes(): Promise<number> {
    return (await this.#survey()).usedBytes;
  }

  async #make(neededBytes: number): Promise<void> {
    const { usedBytes, candidates } = await this.#survey();
    const { bavail, bsize } = await statfs(this.#dir.root);
    const { budgetBytes } = this;
    const disk = { usedBytes, budgetBytes, freeBytes: bavail * bsize };
    const { victims, missingBytes } = evict(candidates, disk, neededBytes);
    // Nothing goes in vain: when all of it is not enough, the image is refused and the cache stays warm.
    if (missingBytes > 0 && neededBytes > 0) {
      const facts = {
        needed_bytes: String(neededBytes),
        missing_bytes: String(missingBytes),
        free_bytes: String(disk.freeBytes),
        budget_bytes: String(budgetBytes),
      };
      const limits = `the disk has ${mib(disk.freeBytes)} MiB free, of which ${mib(RESERVE_BYTES)} stay free, and the budget, IMAGECACHE_BUDGET_MB, is ${mib(budgetBytes)}`;
      const why = `it needs ${mib(neededBytes)} MiB, of which ${mib(missingBytes)} are missing even without all images not in use (${limits})`;
      throw diskFull(this.#dir.root, why, facts);
    }
    for (const { path, bytes } of victims) await this.#remove(path, bytes);
  }

  async #remove(path: string, bytes: number): Promise<void> {
    const image = path.endsWith(".squashfs") ? digestIn(path) : undefined;
    // Asked again: since the survey, somebody may have come to need it.
    if (image && this.#isNeeded(image)) return;
    logger.info("evicted from the image cache", { path, bytes });
    countEviction(image ? "image" : "layer", bytes);
    if (image) await this.#images.remove(image);
    else {
      await unlink(path).catch((err: unknown) => {
        if (!isMissing(err)) throw err;
      });
    }
  }

  async #survey(): Promise<{ usedBytes: number; candidates: Candidate[] }> {
    let usedBytes = 0;
    const candidates: Candidate[] = [];
    for (const dir of [this.#dir.blobs, this.#dir.rootfs, this.#dir.tmp]) {
      for (const name of await namesIn(dir)) {
        const path = join(dir, name);
        const info = await fileInfo(path);
        if (info === undefined) continue;
        usedBytes += info.bytes;
        const lastUseMs = this.#lastUse(dir, path);
        if (lastUseMs !== undefined)
          candidates.push({ path, bytes: info.bytes, lastUseMs: lastUseMs || info.mtimeMs });
      }
    }
    return { usedBytes, candidates };
  }

  /** When a file was last used (0: look at the file), or undefined when it may not go. */
  #lastUse(dir: string, path: string): number | undefined {
    const digest = digestIn(path);
    if (digest === undefined || dir === this.#dir.tmp) return undefined;
    if (dir === this.#dir.blobs) return this.#busy.has(digest) ? undefined : 0;
    return path.endsWith(".squashfs") && !this.#isNeeded(digest) ? this.#images.lastUseMs(digest) : undefined;
  }
}

function digestIn(path: string): Digest | undefined {
  return parseDigest(digestOf(/([0-9a-f]{64})[^/]*$/.exec(path)?.[1] ?? ""));
}

function mib(bytes: number): number {
  return Math.ceil(bytes / 1024 / 1024);
}
