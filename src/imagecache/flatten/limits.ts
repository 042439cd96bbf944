/** What an image may cost to unpack. Beyond these it is taken for a bomb, or for a mistake. */
export interface Limits {
  /** Bytes all layers may unpack to, together, holes of sparse files included. */
  readonly maxBytes: number;
  /** Entries all layers may have, together; and names there may be at any moment, with the directories nobody described. */
  readonly maxEntries: number;
  /** Bytes all names and symlink targets of all layers may take, together. */
  readonly maxNameBytes: number;
  /** How many times its compressed size a layer may unpack to, once it is past `ratioFreeBytes`. */
  readonly maxRatio: number;
  /** Below this size no ratio is too high: a file of zeros compresses a thousandfold, and small ones do no harm. */
  readonly ratioFreeBytes: number;
}

const GIB = 1024 ** 3;

/**
 * Images in use stay well below: the largest on Docker Hub unpack to some 40 GB in half a million entries. Entries
 * (some 60 bytes each) and names are what we keep in memory. Text compresses twentyfold at best.
 */
export const DEFAULT_LIMITS: Limits = {
  maxBytes: 64 * GIB,
  maxEntries: 1_000_000,
  maxNameBytes: 96 * 1024 * 1024,
  maxRatio: 200,
  ratioFreeBytes: GIB,
};
