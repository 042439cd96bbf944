import type { Flattener } from "./flattener.ts";
import { NONE, type Node } from "./tree.ts";

/**
 * What the layers came to: for every entry of every layer, the names under which it is in the image. Made once all
 * layers are flattened; asked entry by entry, in the same order, while they are read for the second time.
 */
export class Plan {
  /** Names in the image. */
  readonly entries: number;
  readonly #flattener: Flattener;
  /** For each inode one of its nodes, and for each node the next of the same inode. */
  readonly #first: Int32Array;
  readonly #next: Int32Array;
  readonly #undescribed: Node[] = [];
  /** For each layer, the last entry that is in the image. */
  readonly #lastUsed: number[] = [];
  #cursor = 0;
  #layer = 0;
  #ordinal = 0;

  constructor(flattener: Flattener) {
    this.#flattener = flattener;
    const { tree, inodes } = flattener;
    this.entries = tree.size;
    this.#first = new Int32Array(inodes.count).fill(NONE);
    this.#next = new Int32Array(tree.limit).fill(NONE);
    const stack: Node[] = [tree.root];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      const inode = tree.inode(node);
      if (inode === NONE) this.#undescribed.push(node);
      else this.#link(inode, node);
      for (const child of tree.children(node)) stack.push(child);
    }
  }

  /** Directories that no entry describes, by path, parents first. */
  *undescribed(): Generator<string, void, void> {
    for (const node of this.#undescribed) yield this.#flattener.tree.path(node);
  }

  /** Whether the layer has anything left that is in the image, from the entry last asked for on. */
  isDone(layer: number): boolean {
    return (layer === this.#layer ? this.#ordinal : 0) > (this.#lastUsed[layer] ?? NONE);
  }

  /** Goes to the beginning of a layer; layers must be taken in order. */
  beginLayer(layer: number): void {
    this.#layer = layer;
    this.#ordinal = 0;
  }

  /** The names in the image of the layer's next entry; none when it did not make it there. */
  next(): string[] {
    const { tree, inodes } = this.#flattener;
    const ordinal = this.#ordinal++;
    while (this.#cursor < inodes.count && this.#isBefore(this.#cursor, ordinal)) this.#cursor++;
    const isHere = inodes.layer(this.#cursor) === this.#layer && inodes.ordinal(this.#cursor) === ordinal;
    const names: string[] = [];
    if (this.#cursor >= inodes.count || !isHere) return names;
    for (let n = this.#first[this.#cursor] ?? NONE; n !== NONE; n = this.#next[n] ?? NONE)
      names.push(tree.path(n));
    return names;
  }

  #isBefore(inode: number, ordinal: number): boolean {
    const layer = this.#flattener.inodes.layer(inode);
    return layer < this.#layer || (layer === this.#layer && this.#flattener.inodes.ordinal(inode) < ordinal);
  }

  #link(inode: number, node: Node): void {
    const { inodes } = this.#flattener;
    const before = this.#first[inode] ?? NONE;
    this.#next[node] = before;
    this.#first[inode] = node;
    const layer = inodes.layer(inode);
    this.#lastUsed[layer] = Math.max(this.#lastUsed[layer] ?? NONE, inodes.ordinal(inode));
  }
}
