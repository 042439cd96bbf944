import { readFile, rename, unlink, utimes } from "node:fs/promises";
import { type Digest, digestOf, parseDigest } from "../../lib/oci/digest.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { syncFolder, writeDurably } from "../../lib/stores/durable-file.ts";
import type { ImageStore } from "../images.ts";
import { type CacheDir, namesIn } from "./cache-dir.ts";
import { fileInfo, isMissing } from "./files.ts";
import type { Image } from "./image.ts";

/**
 * Grows whenever the same image would come out as other bytes: a change of flattening, or of the writer's options. Images of
 * another version are built anew, except those in use.
 */
export const BUILDER_VERSION = 1;

/** What stands in the file beside an image. */
interface Metadata {
  readonly builder: number;
  readonly image: Omit<Image, "rootfsPath">;
  /** Digest of the squashfs. */
  readonly rootfsDigest: Digest;
}

interface Known {
  readonly image: Image;
  readonly rootfsDigest: Digest;
  readonly builder: number;
  lastUseMs: number;
}

const MINUTE_MS = 60_000;

/** The images that are ready, as pairs of files; what there is, is known in memory. */
export class ImageFiles implements ImageStore {
  readonly #dir: CacheDir;
  readonly #clock: Clock;
  readonly #known = new Map<Digest, Known>();

  constructor(dir: CacheDir, clock: Clock) {
    this.#dir = dir;
    this.#clock = clock;
  }

  /** Finds out what there is, and removes what is not whole. @param isNeeded spares images of older builders */
  async load(isNeeded: (digest: Digest) => boolean): Promise<void> {
    const names = await namesIn(this.#dir.rootfs);
    const digests = new Set(names.map((name) => parseDigest(digestOf(name.split(".")[0] ?? ""))));
    for (const digest of digests) {
      const known = digest && (await this.#read(digest));
      if (digest === undefined) continue;
      const isUsable = known !== undefined && (known.builder === BUILDER_VERSION || isNeeded(digest));
      if (isUsable) this.#known.set(digest, known);
      if (!isUsable || !(await this.isIntact(digest))) await this.#unlink(digest);
    }
  }

  get(digest: Digest): Image | undefined {
    return this.#known.get(digest)?.image;
  }

  all(): readonly Image[] {
    return [...this.#known.values()].map((k) => k.image).sort((a, b) => (a.digest < b.digest ? -1 : 1));
  }

  lastUseMs(digest: Digest): number {
    return this.#known.get(digest)?.lastUseMs ?? 0;
  }

  /** What the squashfs's first `rootfsBytes` bytes must hash to. */
  rootfsDigest(digest: Digest): Digest | undefined {
    return this.#known.get(digest)?.rootfsDigest;
  }

  /** A longer file is fine: whoever attaches it to a machine may have padded it. */
  async isIntact(digest: Digest): Promise<boolean> {
    const image = this.get(digest);
    const info = image && (await fileInfo(image.rootfsPath));
    if (image && info && info.length >= image.sizes.rootfsBytes) return true;
    this.forget(digest);
    return false;
  }

  /** From now on it counts as not being here; the file stays, for machines that have it open. */
  forget(digest: Digest): void {
    this.#known.delete(digest);
  }

  async touch(digest: Digest): Promise<void> {
    const known = this.#known.get(digest);
    const now = this.#clock.now();
    if (!known || now - known.lastUseMs < MINUTE_MS) return;
    known.lastUseMs = now;
    await utimes(this.#dir.metadata(digest), now / 1000, now / 1000);
  }

  /** Takes a finished squashfs in. @param from where it was written, and synced; moved from there */
  async put(image: Omit<Image, "rootfsPath">, rootfsDigest: Digest, from: string): Promise<Image> {
    const { digest } = image;
    await rename(from, this.#dir.squashfs(digest));
    await syncFolder(this.#dir.rootfs);
    const metadata: Metadata = { builder: BUILDER_VERSION, image, rootfsDigest };
    await writeDurably(this.#dir.metadata(digest), `${JSON.stringify(metadata, undefined, 2)}\n`, 0o644);
    const full = { ...image, rootfsPath: this.#dir.squashfs(digest) };
    const known = { image: full, rootfsDigest, builder: BUILDER_VERSION, lastUseMs: this.#clock.now() };
    this.#known.set(digest, known);
    return full;
  }

  async remove(digest: Digest): Promise<number> {
    const info = await fileInfo(this.#dir.squashfs(digest));
    this.forget(digest);
    await this.#unlink(digest);
    return info?.bytes ?? 0;
  }

  async #read(digest: Digest): Promise<Known | undefined> {
    try {
      const path = this.#dir.metadata(digest);
      // Written by `put` and renamed into place whole; anything else fails below or in `isIntact`.
      const { builder, image, rootfsDigest } = JSON.parse(await readFile(path, "utf8")) as Metadata;
      if (image.digest !== digest || !(image.sizes.rootfsBytes > 0)) return undefined;
      const lastUseMs = (await fileInfo(path))?.mtimeMs ?? 0;
      return {
        image: { ...image, rootfsPath: this.#dir.squashfs(digest) },
        rootfsDigest,
        builder,
        lastUseMs,
      };
    } catch {
      // Missing or unreadable: then there is no image, and the files are removed.
      return undefined;
    }
  }

  /** The description first: an image without one does not exist. */
  async #unlink(digest: Digest): Promise<void> {
    for (const path of [this.#dir.metadata(digest), this.#dir.squashfs(digest)]) {
      await unlink(path).catch((err: unknown) => {
        if (!isMissing(err)) throw err;
      });
    }
  }
}
