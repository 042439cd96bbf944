/** Limits of an image, for all layers together. */
export interface Limits {
  /** Unpacked bytes, with the holes of sparse files. */
  readonly maxBytes: number;
  /** Entries; also names at any moment, with implicit directories. */
  readonly maxEntries: number;
  /** Entries of one directory. */
  readonly maxDirectoryEntries: number;
  /** Bytes of all names and symlink targets. */
  readonly maxNameBytes: number;
  /** Bytes of all paths, each from the root. */
  readonly maxPathBytes: number;
  /** Bytes of extended attributes and symlink targets, counted with each name that has them. */
  readonly maxAttributeBytes: number;
  /** Bytes of extended headers and long names in the archives. */
  readonly maxHeaderBytes: number;
}

const MIB = 1024 ** 2;

/**
 * The largest images on Docker Hub unpack to some 40 GB in half a million entries. Names and entries (90
 * bytes each) are kept in memory. tar2sqfs searches a directory from its beginning for each entry: a
 * minute for 100,000.
 */
export const DEFAULT_LIMITS: Limits = {
  maxBytes: 64 * 1024 * MIB,
  maxEntries: 1_000_000,
  maxDirectoryEntries: 100_000,
  maxNameBytes: 96 * MIB,
  maxPathBytes: 512 * MIB,
  maxAttributeBytes: 128 * MIB,
  maxHeaderBytes: 1024 * MIB,
};
