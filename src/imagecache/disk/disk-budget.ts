import { readdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOf, parseDigest } from "../../lib/oci/digest.ts";
import { counter } from "../../lib/otel/metrics.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { CacheDir } from "./cache-dir.ts";
import { type Candidate, evict, RESERVE_BYTES } from "./evict.ts";
import { diskFull, fileInfo } from "./files.ts";
import type { ImageStore } from "./image-store.ts";
import { UseCounts } from "./use-counts.ts";

const KIND = ["kind"] as const;
const evictions = counter("windhover_image_evictions_total", "Files removed to make room, by kind.", KIND);
const evictedBytes = counter(
  "windhover_image_evicted_bytes_total",
  "Disk space made room for, by kind.",
  KIND,
);
for (const kind of ["image", "layer"]) {
  evictions.inc({ kind }, 0);
  evictedBytes.inc({ kind }, 0);
}

/** Keeps the cache within its budget by evicting what is not in use. */
export class DiskBudget {
  readonly budgetBytes: number;
  readonly layersInUse = new UseCounts();
  readonly #dir: CacheDir;
  readonly #images: ImageStore;
  readonly #isInUse: (digest: Digest) => boolean;
  #last: Promise<unknown> = Promise.resolve();
  /** Bytes by path, of files that are being written. */
  readonly #reserved = new Map<string, number>();

  /** @param isInUse whether an image must not be evicted */
  constructor(dir: CacheDir, images: ImageStore, budgetBytes: number, isInUse: (digest: Digest) => boolean) {
    this.#dir = dir;
    this.#images = images;
    this.budgetBytes = budgetBytes;
    this.#isInUse = isInUse;
  }

  /**
   * Makes room for `neededBytes`; 0 only restores the budget. Calls run one after the other, because two
   * would count the same victims.
   *
   * @throws Fault RESOURCE_EXHAUSTED / `DISK_FULL`
   */
  makeRoom(neededBytes: number): Promise<void> {
    return this.#inTurn(() => this.#makeRoom(neededBytes));
  }

  /** Throws what {@link makeRoom} would, and evicts nothing. */
  async checkRoom(neededBytes: number): Promise<void> {
    await this.#victims(neededBytes);
  }

  /**
   * Makes room for a file in `tmp`, which counts with at least these bytes until the returned object is
   * disposed of.
   *
   * @throws Fault RESOURCE_EXHAUSTED / `DISK_FULL`
   */
  reserve(path: string, bytes: number): Promise<Disposable> {
    return this.#inTurn(async () => {
      await this.#makeRoom(bytes);
      this.#reserved.set(path, bytes);
      return { [Symbol.dispose]: () => void this.#reserved.delete(path) };
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  async usedBytes(): Promise<number> {
    return (await this.#scan()).usedBytes;
  }

  async #makeRoom(neededBytes: number): Promise<void> {
    for (const { path, bytes } of await this.#victims(neededBytes)) await this.#evict(path, bytes);
  }

  async #victims(neededBytes: number): Promise<readonly Candidate[]> {
    const { usedBytes, unwrittenBytes, candidates } = await this.#scan();
    const { bavail, bsize } = await statfs(this.#dir.root);
    const { budgetBytes } = this;
    const freeBytes = Math.max(0, bavail * bsize - unwrittenBytes);
    const disk = { usedBytes, budgetBytes, freeBytes };
    const { victims, missingBytes } = evict(candidates, disk, neededBytes);
    // Evicting all of them would not be enough: nothing is evicted.
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
    return victims;
  }

  async #evict(path: string, bytes: number): Promise<void> {
    const image = path.endsWith(".squashfs") ? digestIn(path) : undefined;
    // Its use may have begun after the scan.
    if (image && this.#isInUse(image)) return;
    logger.info("evicted from the image cache", { path, bytes });
    const kind = image ? "image" : "layer";
    evictions.inc({ kind });
    evictedBytes.inc({ kind }, bytes);
    if (image) await this.#images.remove(image);
    else await rm(path, { force: true });
  }

  async #scan(): Promise<{ usedBytes: number; unwrittenBytes: number; candidates: Candidate[] }> {
    let usedBytes = 0;
    const unwritten = new Map(this.#reserved);
    const candidates: Candidate[] = [];
    for (const dir of [this.#dir.blobs, this.#dir.rootfs, this.#dir.tmp]) {
      for (const name of (await readdir(dir)).sort()) {
        const path = join(dir, name);
        const info = await fileInfo(path);
        if (info === undefined) continue;
        usedBytes += info.bytes;
        const reserved = unwritten.get(path);
        if (reserved !== undefined) unwritten.set(path, Math.max(0, reserved - info.bytes));
        const lastUseMs = this.#lastUseMs(dir, path, info.mtimeMs);
        if (lastUseMs !== undefined) candidates.push({ path, bytes: info.bytes, lastUseMs });
      }
    }
    const unwrittenBytes = [...unwritten.values()].reduce((sum, bytes) => sum + bytes, 0);
    return { usedBytes: usedBytes + unwrittenBytes, unwrittenBytes, candidates };
  }

  /** Returns when a file was last used; undefined when it must stay. */
  #lastUseMs(dir: string, path: string, mtimeMs: number): number | undefined {
    const digest = digestIn(path);
    if (digest === undefined || dir === this.#dir.tmp) return undefined;
    if (dir === this.#dir.blobs) return this.layersInUse.has(digest) ? undefined : mtimeMs;
    if (!path.endsWith(".squashfs") || this.#isInUse(digest)) return undefined;
    return this.#images.lastUseMs(digest) || mtimeMs;
  }
}

function digestIn(path: string): Digest | undefined {
  return parseDigest(digestOf(/([0-9a-f]{64})[^/]*$/.exec(path)?.[1] ?? ""));
}

function mib(bytes: number): number {
  return Math.ceil(bytes / 1024 / 1024);
}
