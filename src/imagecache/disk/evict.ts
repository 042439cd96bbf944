export interface Candidate {
  readonly path: string;
  /** Bytes of disk. */
  readonly bytes: number;
  readonly lastUseMs: number;
}

/** Bytes of disk. */
export interface DiskState {
  readonly usedBytes: number;
  readonly budgetBytes: number;
  /** Free on the file system. */
  readonly freeBytes: number;
}

export interface Eviction {
  readonly victims: readonly Candidate[];
  /** Bytes that are missing even without the victims; 0 when there is room. */
  readonly missingBytes: number;
}

/** Bytes left free for the rest of the system. */
export const RESERVE_BYTES = 64 * 1024 * 1024;

/** Decides which files to evict for `neededBytes`: the least recently used, and no more than needed. */
export function evict(candidates: readonly Candidate[], disk: DiskState, neededBytes: number): Eviction {
  const overBudget = disk.usedBytes + neededBytes - disk.budgetBytes;
  // When nothing is needed, only the budget counts: others may have filled the disk.
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
