import type { Xattrs } from "./pax.ts";

export type EntryType = "file" | "hardlink" | "symlink" | "char" | "block" | "dir" | "fifo";

/**
 * An entry of a tar archive. Names are bytes in no particular encoding, kept as Latin-1 strings, so that
 * nothing is lost.
 */
export interface TarEntry {
  readonly path: string;
  readonly type: EntryType;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file with its holes; 0 for other types. */
  readonly size: number;
  /** Whole seconds since the epoch. */
  readonly mtime: number;
  /** Target of a symlink or hard link; empty for other types. */
  readonly link: string;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: Xattrs;
}

/** What a reader yields: an entry, then its content in pieces. */
export type TarEvent =
  | { readonly kind: "entry"; readonly entry: TarEntry }
  /** Part of the input, so valid only until the next event. */
  | { readonly kind: "data"; readonly bytes: Buffer }
  /** Bytes of zeros. */
  | { readonly kind: "hole"; readonly length: number };
