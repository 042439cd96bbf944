import { statfs } from "node:fs/promises";
import { logger } from "../../lib/runtime/log.ts";
import { type DiskSpace, type DiskView, isShort, shownSpace } from "./host-disk.ts";

/** Just what is read of a file system. */
export type StatFs = (
  path: string,
) => Promise<{ readonly bsize: number; readonly blocks: number; readonly bavail: number }>;

/** Looks at the file system of the host's state, in the background, so that bids are answered from memory. */
export class DiskWatch implements DiskView {
  readonly #dir: string;
  readonly #statfs: StatFs;
  #space: DiskSpace | undefined;
  #trouble: string | undefined;

  private constructor(dir: string, statFs: StatFs) {
    this.#dir = dir;
    this.#statfs = statFs;
  }

  /** Looks once. To be asked to {@link look} again and again. */
  static async open(dir: string, statFs: StatFs = statfs): Promise<DiskWatch> {
    const watch = new DiskWatch(dir, statFs);
    await watch.look();
    return watch;
  }

  get space(): DiskSpace | undefined {
    return this.#space;
  }

  /** Looks again; never throws. What cannot be read is as it was: another machine would not make it better. */
  async look(): Promise<void> {
    try {
      // Not `bfree`: what is kept for root is not for machines, even where hostd is root.
      const { bsize, blocks, bavail } = await this.#statfs(this.#dir);
      this.#found({ size: blocks * bsize, free: bavail * bsize });
      this.#trouble = undefined;
    } catch (error) {
      const trouble = String(error);
      if (trouble !== this.#trouble) {
        logger.error("how full the disk is cannot be read", { dir: this.#dir, error });
      }
      this.#trouble = trouble;
    }
  }

  #found(space: DiskSpace): void {
    const [was, is] = [isShort(this.#space), isShort(space)];
    this.#space = space;
    if (was === is) return;
    const { freeMb, reserveMb } = shownSpace(space);
    const facts = { dir: this.#dir, free_mb: freeMb, reserve_mb: reserveMb };
    if (is) logger.error("the disk is all but full; no new machines until there is room", facts);
    else logger.info("there is room on the disk again", facts);
  }
}
