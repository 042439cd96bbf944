import { mkdir, readdir, readFile, rm, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, hexOf } from "../../lib/oci/digest.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import { isMissing } from "./files.ts";

/**
 * Where everything is on disk:
 *
 * - `blobs/<hex>` a layer as it came; `<hex>.partial` while it is coming
 * - `rootfs/<hex>.squashfs` an image, with `<hex>.json` about it, written last: no image without it
 * - `pins/<hex>/<owner>` a pin
 * - `tmp/` work in progress, worthless after a crash
 * - `lock` who uses the directory
 */
export class CacheDir {
  readonly root: string;
  readonly blobs: string;
  readonly rootfs: string;
  readonly pins: string;
  readonly tmp: string;
  readonly #lock: string;

  private constructor(root: string) {
    this.root = root;
    this.blobs = join(root, "blobs");
    this.rootfs = join(root, "rootfs");
    this.pins = join(root, "pins");
    this.tmp = join(root, "tmp");
    this.#lock = join(root, "lock");
  }

  /**
   * Opens a directory, making it when it is new, and throws away what a crash left half done.
   *
   * @throws Fault FAILED_PRECONDITION / `DIRECTORY_IN_USE` when another process has it open
   */
  static async open(root: string): Promise<CacheDir> {
    const dir = new CacheDir(root);
    await mkdir(root, { recursive: true });
    await dir.#acquire();
    await rm(dir.tmp, { recursive: true, force: true });
    for (const path of [dir.blobs, dir.rootfs, dir.pins, dir.tmp]) await mkdir(path, { recursive: true });
    return dir;
  }

  blob(digest: Digest): string {
    return join(this.blobs, hexOf(digest));
  }

  partial(digest: Digest): string {
    return join(this.blobs, `${hexOf(digest)}.partial`);
  }

  squashfs(digest: Digest): string {
    return join(this.rootfs, `${hexOf(digest)}.squashfs`);
  }

  metadata(digest: Digest): string {
    return join(this.rootfs, `${hexOf(digest)}.json`);
  }

  /** Gives the directory up. */
  async close(): Promise<void> {
    await unlink(this.#lock).catch(() => undefined);
  }

  /** A process is named by its id and the moment it began: ids come again, after a reboot at the latest. */
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

/** When a process began, in ticks since boot, with the boot it was in; empty when there is no such process. */
async function startOf(pid: number): Promise<string> {
  try {
    const [stat, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile("/proc/sys/kernel/random/boot_id", "utf8"),
    ]);
    // The name in parentheses may hold anything; what follows it is numbers, the 20th of them the start.
    return `${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""}@${boot.trim()}`;
  } catch {
    return "";
  }
}

/** Names of the files in a directory. */
export async function namesIn(path: string): Promise<string[]> {
  return (await readdir(path)).sort();
}
