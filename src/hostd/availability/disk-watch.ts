import { statfs } from "node:fs/promises";
import { logger } from "../../lib/runtime/log.ts";
import { type DiskSpace, isShort, roundedSpace } from "./host-disk.ts";

export type StatFs = (
  path: string,
) => Promise<{ readonly bsize: number; readonly blocks: number; readonly bavail: number }>;

/** Reads the size of the file system of a folder in the background, so that bids are answered from memory. */
export class DiskWatch {
  readonly #dir: string;
  readonly #statfs: StatFs;
  #space: DiskSpace | undefined;
  #lastError: string | undefined;

  constructor(dir: string, statFs: StatFs = statfs) {
    this.#dir = dir;
    this.#statfs = statFs;
  }

  /** Size at the last {@link refresh} that succeeded; undefined before. */
  get space(): DiskSpace | undefined {
    return this.#space;
  }

  /** Reads the size. Never throws: an error leaves the size as it was. */
  async refresh(): Promise<void> {
    try {
      // Not `bfree`: the blocks reserved for root are not for machines, even where hostd is root.
      const { bsize, blocks, bavail } = await this.#statfs(this.#dir);
      this.#update({ size: blocks * bsize, free: bavail * bsize });
      this.#lastError = undefined;
    } catch (error) {
      const text = String(error);
      if (text !== this.#lastError)
        logger.error("could not read the size of the disk", { dir: this.#dir, error });
      this.#lastError = text;
    }
  }

  #update(space: DiskSpace): void {
    const [wasShort, isShortNow] = [isShort(this.#space), isShort(space)];
    this.#space = space;
    if (wasShort === isShortNow) return;
    const { freeMb, reserveMb } = roundedSpace(space);
    const facts = { dir: this.#dir, free_mb: freeMb, reserve_mb: reserveMb };
    if (isShortNow) logger.error("the disk is almost full: the host takes no new machines", facts);
    else logger.info("the disk has room again: the host takes new machines", facts);
  }
}
