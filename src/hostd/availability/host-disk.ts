/** Size of the file system that holds state, logs and scratch disks of a host, in bytes. */
export interface DiskSpace {
  readonly size: number;
  /** Free for processes other than root's. */
  readonly free: number;
}

const MB = 1_024 * 1_024;
const GB = 1_024 * MB;
const SHARE = 0.05;

/**
 * Returns the bytes that are kept for the machines on the host: without them none could be stopped cleanly. The ledger does not
 * protect this space, because scratch disks are sparse and grow. One gigabyte is a scratch disk written full; small disks keep 5 %.
 */
export function reserveOf({ size }: DiskSpace): number {
  return Math.min(size * SHARE, GB);
}

/** Whether the disk is too full for another machine. False while its size is unknown. */
export function isShort(space: DiskSpace | undefined): boolean {
  return space !== undefined && space.free < reserveOf(space);
}

/**
 * Rounds for schedulers, in MB: each change of a status costs a message to each of them. Free space is rounded down to five
 * significant bits, so it changes in steps of about 3 %, and is below the reserve if and only if the disk is short.
 */
export function roundedSpace(space: DiskSpace): { readonly freeMb: number; readonly reserveMb: number } {
  const reserveMb = Math.max(1, Math.ceil(reserveOf(space) / MB));
  const wholeMb = Math.floor(space.free / MB);
  const step = 2 ** Math.max(0, Math.floor(Math.log2(Math.max(1, wholeMb))) - 4);
  const rounded = Math.floor(wholeMb / step) * step;
  return {
    reserveMb,
    freeMb: isShort(space) ? Math.min(rounded, reserveMb - 1) : Math.max(rounded, reserveMb),
  };
}
