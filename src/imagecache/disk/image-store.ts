import { readdir, readFile, rename, rm, utimes } from "node:fs/promises";
import { type Digest, digestOf, parseDigest } from "../../lib/oci/digest.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { syncFolder, writeDurably } from "../../lib/stores/durable-file.ts";
import type { CacheDir } from "./cache-dir.ts";
import { fileInfo } from "./files.ts";
import type { Image } from "./image.ts";

/**
 * Must grow when the same image would become other bytes, by a change of flattening or of tar2sqfs's
 * options. Images of another version are built anew, except those in use.
 */
const BUILDER_VERSION = 1;

interface Metadata {
  readonly builder: number;
  readonly image: Omit<Image, "rootfsPath">;
  /** Digest of the squashfs. */
  readonly rootfsDigest: Digest;
}

interface StoredImage {
  readonly image: Image;
  readonly rootfsDigest: Digest;
  readonly builder: number;
  lastUseMs: number;
}

const MINUTE_MS = 60_000;

/** The images that are ready: pairs of files on disk, and an index in memory. */
export class ImageStore {
  readonly #dir: CacheDir;
  readonly #clock: Clock;
  readonly #images = new Map<Digest, StoredImage>();

  constructor(dir: CacheDir, clock: Clock) {
    this.#dir = dir;
    this.#clock = clock;
  }

  /** Loads what is on disk, and removes what is incomplete. @param isInUse spares images of older builders */
  async load(isInUse: (digest: Digest) => boolean): Promise<void> {
    const names = await readdir(this.#dir.rootfs);
    const digests = new Set(names.map((name) => parseDigest(digestOf(name.split(".")[0] ?? ""))));
    for (const digest of digests) {
      if (digest === undefined) continue;
      const stored = await this.#read(digest);
      const isUsable = stored !== undefined && (stored.builder === BUILDER_VERSION || isInUse(digest));
      if (isUsable) this.#images.set(digest, stored);
      if (!isUsable || !(await this.isIntact(digest))) await this.#unlink(digest);
    }
  }

  get(digest: Digest): Image | undefined {
    return this.#images.get(digest)?.image;
  }

  /** Returns all images by digest. */
  all(): readonly Image[] {
    return [...this.#images.values()]
      .map(({ image }) => image)
      .sort((a, b) => (a.digest < b.digest ? -1 : 1));
  }

  lastUseMs(digest: Digest): number {
    return this.#images.get(digest)?.lastUseMs ?? 0;
  }

  /** Returns the digest of the squashfs's first `rootfsBytes` bytes. */
  rootfsDigest(digest: Digest): Digest | undefined {
    return this.#images.get(digest)?.rootfsDigest;
  }

  /**
   * Whether the file is there and complete. Forgets the image when it is not. A longer file is intact:
   * whoever attaches it to a VM may pad it.
   */
  async isIntact(digest: Digest): Promise<boolean> {
    const image = this.get(digest);
    const info = image && (await fileInfo(image.rootfsPath));
    if (image && info && info.length >= image.sizes.rootfsBytes) return true;
    this.forget(digest);
    return false;
  }

  /** Removes an image from memory only. Machines may have the file open. */
  forget(digest: Digest): void {
    this.#images.delete(digest);
  }

  /** Records a use, to a minute. */
  async touch(digest: Digest): Promise<void> {
    const stored = this.#images.get(digest);
    const now = this.#clock.now();
    if (!stored || now - stored.lastUseMs < MINUTE_MS) return;
    stored.lastUseMs = now;
    await utimes(this.#dir.metadata(digest), now / 1000, now / 1000);
  }

  /** Adds an image durably. @param from path of its synced squashfs, which is moved */
  async put(image: Omit<Image, "rootfsPath">, rootfsDigest: Digest, from: string): Promise<Image> {
    const { digest } = image;
    await rename(from, this.#dir.squashfs(digest));
    await syncFolder(this.#dir.rootfs);
    const metadata: Metadata = { builder: BUILDER_VERSION, image, rootfsDigest };
    await writeDurably(this.#dir.metadata(digest), `${JSON.stringify(metadata, undefined, 2)}\n`, 0o644);
    const stored = this.#stored(metadata, this.#clock.now());
    this.#images.set(digest, stored);
    return stored.image;
  }

  /** Removes an image. @returns bytes of disk freed */
  async remove(digest: Digest): Promise<number> {
    const info = await fileInfo(this.#dir.squashfs(digest));
    this.forget(digest);
    await this.#unlink(digest);
    return info?.bytes ?? 0;
  }

  async #read(digest: Digest): Promise<StoredImage | undefined> {
    try {
      const path = this.#dir.metadata(digest);
      // Only `put` writes it. Anything else fails below or in `isIntact`.
      const metadata = JSON.parse(await readFile(path, "utf8")) as Metadata;
      if (metadata.image.digest !== digest || !(metadata.image.sizes.rootfsBytes > 0)) return undefined;
      return this.#stored(metadata, (await fileInfo(path))?.mtimeMs ?? 0);
    } catch {
      // Missing or unreadable: the files are removed.
      return undefined;
    }
  }

  #stored({ image, rootfsDigest, builder }: Metadata, lastUseMs: number): StoredImage {
    const full = { ...image, rootfsPath: this.#dir.squashfs(image.digest) };
    return { image: full, rootfsDigest, builder, lastUseMs };
  }

  /** Removes the metadata first: an image without it does not exist. */
  async #unlink(digest: Digest): Promise<void> {
    for (const path of [this.#dir.metadata(digest), this.#dir.squashfs(digest)]) {
      await rm(path, { force: true });
    }
  }
}
