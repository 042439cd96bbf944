import type { EntryType, TarEntry } from "../tar/entry.ts";
import { BytePool, Table } from "./table.ts";
import { NONE, type Node } from "./tree.ts";

/** What is kept in memory of an entry. */
export type IndexedEntry = Pick<TarEntry, "path" | "type" | "link" | "size"> & {
  /** Of names and values. */
  readonly xattrBytes: number;
};

const TYPES: readonly EntryType[] = ["file", "hardlink", "symlink", "char", "block", "dir", "fifo"];

/** The inodes of the tree. Each is one entry of one layer, in their order. */
export class Inodes {
  readonly #rows = new Table({
    type: Uint8Array,
    layer: Uint16Array,
    ordinal: Uint32Array,
    names: Uint32Array,
    targetAt: Uint32Array,
    targetLength: Uint16Array,
    xattrBytes: Uint32Array,
    size: Float64Array,
  });
  readonly #targets = new BytePool();
  #count = 0;
  #attributeBytes = 0;

  get count(): number {
    return this.#count;
  }

  get targetBytes(): number {
    return this.#targets.length;
  }

  /** Bytes of extended attributes and symlink targets, counted with each name ever given to an inode. */
  get attributeBytes(): number {
    return this.#attributeBytes;
  }

  /** Adds an inode without a name. */
  add(entry: IndexedEntry, layer: number, ordinal: number): number {
    const target = entry.type === "symlink" ? entry.link : "";
    const inode = this.#count++;
    this.#rows.grow(inode);
    const c = this.#rows.columns;
    c.type[inode] = TYPES.indexOf(entry.type);
    c.layer[inode] = layer;
    c.ordinal[inode] = ordinal;
    c.targetAt[inode] = target === "" ? 0 : this.#targets.add(target);
    c.targetLength[inode] = target.length;
    c.xattrBytes[inode] = entry.xattrBytes;
    c.size[inode] = entry.size;
    return inode;
  }

  type(inode: number): EntryType {
    return TYPES[this.#rows.columns.type[inode] ?? 0] ?? "file";
  }

  layer(inode: number): number {
    return this.#rows.columns.layer[inode] ?? NONE;
  }

  /** Position of the entry in its layer, from 0. */
  ordinal(inode: number): number {
    return this.#rows.columns.ordinal[inode] ?? NONE;
  }

  /** Bytes of a file; 0 for other types. */
  size(inode: number): number {
    return this.#rows.columns.size[inode] ?? 0;
  }

  names(inode: number): number {
    return this.#rows.columns.names[inode] ?? 0;
  }

  /** Target of a symlink; empty for other types. */
  linkTarget(inode: number): string {
    const { targetAt, targetLength } = this.#rows.columns;
    return this.#targets.get(targetAt[inode] ?? 0, targetLength[inode] ?? 0);
  }

  /** Counts one more name. */
  take(inode: number): void {
    const { names, xattrBytes, targetLength } = this.#rows.columns;
    names[inode] = (names[inode] ?? 0) + 1;
    this.#attributeBytes += (xattrBytes[inode] ?? 0) + (targetLength[inode] ?? 0);
  }

  /** Counts one name less. */
  release(inode: Node): void {
    const { names } = this.#rows.columns;
    if (inode !== NONE) names[inode] = (names[inode] ?? 1) - 1;
  }
}
