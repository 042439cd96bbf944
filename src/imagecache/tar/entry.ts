/** What an entry of a layer makes. */
export type EntryType = "file" | "hardlink" | "symlink" | "char" | "block" | "dir" | "fifo";

/**
 * One entry of a tar archive, whatever dialect it was written in. Names are bytes in no particular encoding; they
 * are kept as Latin-1 strings, one character per byte, so that nothing is lost.
 */
export interface TarEntry {
  /** As it stands in the archive. */
  readonly path: string;
  readonly type: EntryType;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the file, holes included; 0 for everything but files. */
  readonly size: number;
  /** Whole seconds since the epoch. */
  readonly mtime: number;
  /** Target of a symlink or hard link; otherwise empty. */
  readonly link: string;
  /** Device numbers. */
  readonly major: number;
  readonly minor: number;
  /** Names as Latin-1 strings, values as bytes. */
  readonly xattrs: readonly (readonly [string, Buffer])[];
}

/** What comes out of an archive, in order: an entry, then its content in pieces. */
export type TarEvent =
  | { readonly kind: "entry"; readonly entry: TarEntry }
  /** Valid only until the next event: it is part of what was read. */
  | { readonly kind: "data"; readonly bytes: Buffer }
  /** A hole: so many bytes of zeros. */
  | { readonly kind: "hole"; readonly length: number };
