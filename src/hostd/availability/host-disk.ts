/** The file system of a host's state: of its records, of what machines wrote, and of their scratch disks. In bytes. */
export interface DiskSpace {
  readonly size: number;
  /** What we may still write. */
  readonly free: number;
}

/** What is known of that file system now, from memory. */
export interface DiskView {
  /** Undefined until it is known. */
  readonly space: DiskSpace | undefined;
}

/** A disk of which nothing is known, and that keeps nobody away: the award finds out. */
export const UNKNOWN_DISK: DiskView = { space: undefined };

const MB = 1_024 * 1_024;
const GB = 1_024 * MB;
const SHARE = 0.05;

/**
 * What is kept for the machines a host has: without it, none could be stopped cleanly or even be recorded as stopped. Scratch disks are sparse, so what
 * they may come to is not what they take, and the ledger alone says how much may be promised; but they grow. A gigabyte is one scratch disk written
 * full, the worst that a machine placed at the last moment can do. A small disk keeps 5 %, or it would offer nothing, ever.
 */
export function reserveOf({ size }: DiskSpace): number {
  return Math.min(size * SHARE, GB);
}

/** Whether there is too little for another machine. */
export function isShort(space: DiskSpace | undefined): boolean {
  return space !== undefined && space.free < reserveOf(space);
}

/**
 * The same for others to see, in MB. What is free is rounded down to five binary digits: it changes all the time, and each change that is told is a
 * message to every scheduler. Rounding never makes a disk short.
 */
export function shownSpace(space: DiskSpace): { readonly freeMb: number; readonly reserveMb: number } {
  // A disk that is short must look it, however small.
  const reserveMb = Math.max(1, Math.ceil(reserveOf(space) / MB));
  const wholeMb = Math.floor(space.free / MB);
  const step = 2 ** Math.max(0, Math.floor(Math.log2(Math.max(1, wholeMb))) - 4);
  const rounded = Math.floor(wholeMb / step) * step;
  return {
    reserveMb,
    freeMb: isShort(space) ? Math.min(rounded, reserveMb - 1) : Math.max(rounded, reserveMb),
  };
}
