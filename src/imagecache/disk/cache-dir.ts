import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../lib/faults/fault.ts";
import { type Digest, hexOf } from "../../lib/oci/digest.ts";
import { makePrivateFolder } from "../../lib/stores/private-folder.ts";
import { isMissing } from "./files.ts";

/**
 * The folder of the cache, with
 *
 * - `blobs/<hex>`: a layer as downloaded; `<hex>.<of whom>.partial`: an unfinished download
 * - `rootfs/<hex>.squashfs`: an image; `<hex>.json`: its metadata, written last
 * - `pins/<hex>/<owner>`: a pin
 * - `tmp/`: work in progress
 * - `compiled/`: code of the process that builds images
 * - `lock`: the process that uses the folder
 */
export class CacheDir {
  readonly root: string;
  readonly blobs: string;
  readonly rootfs: string;
  readonly pins: string;
  readonly tmp: string;
  readonly compiled: string;
  readonly #lock: string;

  private constructor(root: string) {
    this.root = root;
    this.blobs = join(root, "blobs");
    this.rootfs = join(root, "rootfs");
    this.pins = join(root, "pins");
    this.tmp = join(root, "tmp");
    this.compiled = join(root, "compiled");
    this.#lock = join(root, "lock");
  }

  /**
   * Opens or makes a folder, and removes work in progress.
   *
   * @throws Fault FAILED_PRECONDITION / `DIRECTORY_IN_USE` when another process has it open
   */
  static async open(root: string): Promise<CacheDir> {
    const dir = new CacheDir(root);
    makePrivateFolder(root);
    await dir.#acquire();
    await rm(dir.tmp, { recursive: true, force: true });
    for (const path of [dir.blobs, dir.rootfs, dir.pins, dir.tmp]) await mkdir(path, { recursive: true });
    return dir;
  }

  blob(digest: Digest): string {
    return join(this.blobs, hexOf(digest));
  }

  /** @param key of who downloads it: nobody goes on with what came for another */
  partial(digest: Digest, key: string): string {
    const owner = createHash("sha256").update(key).digest("hex").slice(0, 16);
    return join(this.blobs, `${hexOf(digest)}.${owner}.partial`);
  }

  squashfs(digest: Digest): string {
    return join(this.rootfs, `${hexOf(digest)}.squashfs`);
  }

  metadata(digest: Digest): string {
    return join(this.rootfs, `${hexOf(digest)}.json`);
  }

  async close(): Promise<void> {
    await rm(this.#lock, { force: true });
  }

  /** Writes process id and start time, since ids are reused. */
  async #acquire(): Promise<void> {
    const mine = `${process.pid} ${await startOf(process.pid)}`;
    const holder = await readFile(this.#lock, "utf8").catch((err: unknown) => {
      if (isMissing(err)) return "";
      throw err;
    });
    const [pid = "", begun = ""] = holder.split(" ");
    const isAlive = begun !== "" && (await startOf(Number(pid))) === begun;
    if (isAlive && holder !== mine) {
      const message = `the image cache in ${this.root} is in use by process ${pid}; stop that one, or give this one another directory in IMAGECACHE_DIR`;
      throw new Fault("FAILED_PRECONDITION", "DIRECTORY_IN_USE", message, { directory: this.root, pid });
    }
    await writeFile(this.#lock, mine);
  }
}

/** Returns the start of a process, in ticks since boot, and the boot; empty without such a process. */
async function startOf(pid: number): Promise<string> {
  try {
    const [stat, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile("/proc/sys/kernel/random/boot_id", "utf8"),
    ]);
    // The name in parentheses may have any characters. The 20th number after it is the start.
    return `${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""}@${boot.trim()}`;
  } catch {
    return "";
  }
}
