/** A file of the cache that may go. */
export interface Candidate {
  readonly path: string;
  /** Disk space it takes, in bytes. */
  readonly bytes: number;
  readonly lastUseMs: number;
}

/** What the disk looks like. */
export interface DiskState {
  /** Disk space the whole cache takes, in bytes. */
  readonly usedBytes: number;
  /** What it may take. */
  readonly budgetBytes: number;
  /** What the file system has left for anyone. */
  readonly freeBytes: number;
}

/** The files to remove, and whether that is enough. */
export interface Eviction {
  readonly victims: readonly Candidate[];
  /** Bytes still missing after all victims are gone; 0 when there is room. */
  readonly missingBytes: number;
}

/** Left to the rest of the system, always. */
export const RESERVE_BYTES = 64 * 1024 * 1024;

/** Decides which files go to make room for `neededBytes`: the ones not used for longest, and no more than must. */
export function evict(candidates: readonly Candidate[], disk: DiskState, neededBytes: number): Eviction {
  const overBudget = disk.usedBytes + neededBytes - disk.budgetBytes;
  // Not asked for anything, it keeps to the budget and leaves a full disk to whoever filled it.
  const overDisk = neededBytes > 0 ? neededBytes + RESERVE_BYTES - disk.freeBytes : 0;
  let missing = Math.max(0, overBudget, overDisk);
  const victims: Candidate[] = [];
  for (const candidate of candidates.toSorted((a, b) => a.lastUseMs - b.lastUseMs)) {
    if (missing <= 0) break;
    victims.push(candidate);
    missing -= candidate.bytes;
  }
  return { victims, missingBytes: Math.max(0, missing) };
}
