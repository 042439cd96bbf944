/** Limits of an image. Larger ones are refused as bombs. */
export interface Limits {
  /** Unpacked bytes of all layers, with the holes of sparse files. */
  readonly maxBytes: number;
  /** Entries of all layers; also names at any moment, with implicit directories. */
  readonly maxEntries: number;
  /** Bytes of all names and symlink targets of all layers. */
  readonly maxNameBytes: number;
  /** Unpacked size of a layer divided by its compressed size, above `ratioFreeBytes`. */
  readonly maxRatio: number;
  /** Unpacked bytes of a layer below which any ratio is allowed: zeros compress a thousandfold. */
  readonly ratioFreeBytes: number;
}

const GIB = 1024 ** 3;

/**
 * The largest images on Docker Hub unpack to some 40 GB in half a million entries, and text compresses
 * twentyfold at best. Names and entries (60 bytes each) are kept in memory.
 */
export const DEFAULT_LIMITS: Limits = {
  maxBytes: 64 * GIB,
  maxEntries: 1_000_000,
  maxNameBytes: 96 * 1024 * 1024,
  maxRatio: 200,
  ratioFreeBytes: GIB,
};
