import { BytePool, Table } from "./table.ts";

/** A name within a directory. A number, to save memory, reused after removal. */
export type Node = number;

export const NONE = -1;

/** The names of a file system. Each has an inode number and the layer that has set it. */
export class Tree {
  readonly root: Node = 0;
  readonly #rows = new Table({
    parent: Int32Array,
    nameAt: Uint32Array,
    nameLength: Uint8Array,
    pathLength: Uint16Array,
    children: Uint32Array,
    layer: Uint16Array,
    inode: Int32Array,
    firstChild: Int32Array,
    next: Int32Array,
    previous: Int32Array,
    hashNext: Int32Array,
  });
  readonly #names = new BytePool();
  #buckets = new Int32Array(1024).fill(NONE);
  #count = 0;
  #end = 0;
  #pathBytes = 0;
  #largest = 0;
  #free: Node = NONE;
  /** Random, so that hostile names cannot all fall into one bucket. */
  readonly #seed = Math.floor(Math.random() * 2 ** 32);

  constructor() {
    this.#make(NONE, "");
  }

  /** Number of nodes, including the root. */
  get size(): number {
    return this.#count;
  }

  /** Upper bound of the node numbers. */
  get limit(): Node {
    return this.#end;
  }

  /** Bytes of all names ever added. */
  get nameBytes(): number {
    return this.#names.length;
  }

  /** Bytes of the paths of all nodes ever added. */
  get pathBytes(): number {
    return this.#pathBytes;
  }

  /** Most children that a node has ever had. */
  get largestDirectory(): number {
    return this.#largest;
  }

  /** Bytes of a node's path. */
  pathLength(node: Node): number {
    return at(this.#rows.columns.pathLength, node);
  }

  find(parent: Node, name: string): Node {
    const { parent: parents, nameAt, nameLength, hashNext } = this.#rows.columns;
    for (let n = at(this.#buckets, this.#bucket(parent, name)); n !== NONE; n = at(hashNext, n)) {
      if (parents[n] === parent && this.#names.equals(at(nameAt, n), at(nameLength, n), name)) return n;
    }
    return NONE;
  }

  /** Adds a child that does not exist yet, with inode NONE and layer 0. Its path must be below 64 KiB. */
  add(parent: Node, name: string): Node {
    if (this.#count > this.#buckets.length) this.#rehash();
    const node = this.#make(parent, name);
    const { firstChild, next, previous, hashNext, pathLength, children } = this.#rows.columns;
    pathLength[node] = at(pathLength, parent) + name.length + 1;
    this.#pathBytes += at(pathLength, node);
    children[parent] = at(children, parent) + 1;
    this.#largest = Math.max(this.#largest, at(children, parent));
    const first = at(firstChild, parent);
    next[node] = first;
    if (first !== NONE) previous[first] = node;
    firstChild[parent] = node;
    const bucket = this.#bucket(parent, name);
    hashNext[node] = at(this.#buckets, bucket);
    this.#buckets[bucket] = node;
    return node;
  }

  remove(node: Node): void {
    const { parent, firstChild, next, previous, hashNext, children } = this.#rows.columns;
    children[at(parent, node)] = at(children, at(parent, node)) - 1;
    const before = at(previous, node);
    const after = at(next, node);
    if (before === NONE) firstChild[at(parent, node)] = after;
    else next[before] = after;
    if (after !== NONE) previous[after] = before;
    const bucket = this.#bucket(at(parent, node), this.name(node));
    let link = at(this.#buckets, bucket);
    if (link === node) this.#buckets[bucket] = at(hashNext, node);
    else {
      while (at(hashNext, link) !== node) link = at(hashNext, link);
      hashNext[link] = at(hashNext, node);
    }
    next[node] = this.#free;
    this.#free = node;
    this.#count--;
  }

  /** Yields a node's children, newest first. The last yielded one may be removed. */
  *children(node: Node): Generator<Node, void, void> {
    for (let child = this.firstChild(node); child !== NONE; ) {
      const following = at(this.#rows.columns.next, child);
      yield child;
      child = following;
    }
  }

  firstChild(node: Node): Node {
    return at(this.#rows.columns.firstChild, node);
  }

  /** Returns a node's directory; the root's is the root. */
  parent(node: Node): Node {
    return node === this.root ? node : at(this.#rows.columns.parent, node);
  }

  name(node: Node): string {
    const { nameAt, nameLength } = this.#rows.columns;
    return this.#names.get(at(nameAt, node), at(nameLength, node));
  }

  /** Returns the path without a leading slash; empty for the root. */
  path(node: Node): string {
    const names: string[] = [];
    for (let n = node; n !== this.root; n = this.parent(n)) names.push(this.name(n));
    return names.reverse().join("/");
  }

  inode(node: Node): number {
    return at(this.#rows.columns.inode, node);
  }

  layer(node: Node): number {
    return at(this.#rows.columns.layer, node);
  }

  set(node: Node, inode: number, layer: number): void {
    this.#rows.columns.inode[node] = inode;
    this.#rows.columns.layer[node] = layer;
  }

  #make(parent: Node, name: string): Node {
    const node = this.#free === NONE ? this.#end++ : this.#free;
    this.#rows.grow(node);
    const c = this.#rows.columns;
    if (node === this.#free) this.#free = at(c.next, node);
    this.#count++;
    c.parent[node] = parent;
    c.nameAt[node] = this.#names.add(name);
    c.nameLength[node] = name.length;
    c.layer[node] = c.pathLength[node] = c.children[node] = 0;
    c.inode[node] = c.firstChild[node] = c.next[node] = c.previous[node] = c.hashNext[node] = NONE;
    return node;
  }

  #bucket(parent: Node, name: string): number {
    let hash = Math.imul(parent ^ this.#seed, 0x01000193);
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
    return ((hash ^ (hash >>> 15)) >>> 0) % this.#buckets.length;
  }

  #rehash(): void {
    this.#buckets = new Int32Array(this.#buckets.length * 2).fill(NONE);
    const { hashNext } = this.#rows.columns;
    const visit = (node: Node) => {
      for (const child of this.children(node)) {
        const bucket = this.#bucket(node, this.name(child));
        hashNext[child] = at(this.#buckets, bucket);
        this.#buckets[bucket] = child;
        stack.push(child);
      }
    };
    const stack: Node[] = [this.root];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) visit(node);
  }
}

/** Reads a column, which has been grown before: the default only satisfies the compiler. */
function at(column: Int32Array | Uint32Array | Uint16Array | Uint8Array, index: number): number {
  return column[index] ?? NONE;
}
