import type { Flattener } from "./flattener.ts";
import { NONE, type Node } from "./tree.ts";

/**
 * The names that each entry of each layer has in the image. Made after all layers are flattened, and read
 * in the same order, entry by entry, during the second reading.
 */
export class Plan {
  readonly entries: number;
  /** Most bytes that a squashfs of the image can take: when nothing in it can be compressed. */
  readonly maxImageBytes: number;
  readonly #flattener: Flattener;
  /** For each inode its first node, and for each node the next of the same inode. */
  readonly #first: Int32Array;
  readonly #next: Int32Array;
  readonly #implicit: Node[] = [];
  /** For each layer, the last entry that the image has. */
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
    let fileBytes = 0;
    const stack: Node[] = [tree.root];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      const inode = tree.inode(node);
      if (inode === NONE) this.#implicit.push(node);
      else {
        if (this.#first[inode] === NONE) fileBytes += inodes.size(inode);
        this.#link(inode, node);
      }
      for (const child of tree.children(node)) stack.push(child);
    }
    this.maxImageBytes = maxImageBytes(fileBytes, flattener);
  }

  /** Yields the paths of directories without an entry, parents first. */
  *implicit(): Generator<string, void, void> {
    for (const node of this.#implicit) yield this.#flattener.tree.path(node);
  }

  /** Whether the rest of the layer has nothing that the image has. */
  isDone(layer: number): boolean {
    return (layer === this.#layer ? this.#ordinal : 0) > (this.#lastUsed[layer] ?? NONE);
  }

  /** Goes to the beginning of the next layer. */
  beginLayer(layer: number): void {
    this.#layer = layer;
    this.#ordinal = 0;
  }

  /** Returns the names in the image of the layer's next entry. */
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

function maxImageBytes(fileBytes: number, { tree, inodes }: Flattener): number {
  // Superblock, padding and the ends of tables; inode, directory entry, fragment and indexes of each entry.
  const fixed = 64 * 1024 + 128 * tree.size;
  const blockLists = Math.ceil(fileBytes / 16_384);
  return fixed + fileBytes + blockLists + tree.nameBytes + 2 * inodes.attributeBytes;
}
