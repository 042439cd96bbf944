import type { EntryType } from "../tar/entry.ts";
import { BytePool, Table } from "./table.ts";
import { NONE, type Node } from "./tree.ts";

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
  });
  readonly #targets = new BytePool();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get targetBytes(): number {
    return this.#targets.length;
  }

  /** Adds an inode without a name. @param target of a symlink; empty for other types */
  add(type: EntryType, layer: number, ordinal: number, target: string): number {
    const inode = this.#count++;
    this.#rows.grow(inode);
    const c = this.#rows.columns;
    c.type[inode] = TYPES.indexOf(type);
    c.layer[inode] = layer;
    c.ordinal[inode] = ordinal;
    c.targetAt[inode] = target === "" ? 0 : this.#targets.add(target);
    c.targetLength[inode] = target.length;
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
    const { names } = this.#rows.columns;
    names[inode] = (names[inode] ?? 0) + 1;
  }

  /** Counts one name less. */
  release(inode: Node): void {
    const { names } = this.#rows.columns;
    if (inode !== NONE) names[inode] = (names[inode] ?? 1) - 1;
  }
}
