import { layerFault, shownPath } from "../tar/layer-fault.ts";
import { type IndexedEntry, Inodes } from "./inodes.ts";
import { MAX_NAME, type Mark, readMark, splitPath } from "./paths.ts";
import { NONE, type Node, Tree } from "./tree.ts";

/** As in Linux, which then fails with ELOOP. */
const MAX_SYMLINKS = 40;
/** As in Linux, with its end. */
const MAX_PATH = 4095;
/** Hostile symlinks can make each path take thousands of steps; real images take about ten per entry. */
const MAX_STEPS = 300_000_000;

/**
 * Merges the layers of an image by the OCI image specification, to find out which entry of which layer
 * the image has. Takes every entry of every layer, lowest layer first, without contents.
 *
 * - A whiteout or opaque mark hides entries of lower layers, but not of its own layer, wherever in the
 *   layer it stands.
 * - A directory over a directory keeps the children and takes the new attributes. Any other entry
 *   replaces what it covers.
 * - Directories of a path may be symlinks, which are followed within the root. Missing directories are
 *   made with default attributes; a lower layer's file in the path is removed.
 * - A hard link takes the inode that its target has at that moment, and keeps it.
 */
export class Flattener {
  readonly tree = new Tree();
  readonly inodes = new Inodes();
  #layer = -1;
  #ordinal = -1;
  #steps = 0;
  /** Nodes below which this layer has hidden everything, so that repeated marks cost nothing. */
  readonly #hidden = new Set<Node>();

  /** Begins the next layer, unless it is the present one. */
  enterLayer(layer: number): void {
    if (layer === this.#layer) return;
    this.#layer = layer;
    this.#ordinal = -1;
    this.#hidden.clear();
  }

  /** Applies one entry. @throws Fault `LAYER_PATH_ESCAPES` or `LAYER_CORRUPT` */
  add(entry: IndexedEntry): void {
    this.#ordinal++;
    const parts = splitPath(entry.path);
    const mark = readMark(parts, entry.type === "file" || entry.type === "hardlink", entry.path);
    if (mark.kind !== "none") {
      this.#hide(mark, parts);
      return;
    }
    const name = parts.pop();
    if (name === undefined) {
      this.#addRoot(entry);
      return;
    }
    const parent = this.#walk(parts, entry.path, true);
    if (entry.type === "hardlink") this.#addLink(parent, name, entry);
    else this.#addEntry(parent, name, entry);
  }

  #addRoot(entry: IndexedEntry): void {
    if (entry.type !== "dir") throw corrupt(entry.path, "would replace the root directory");
    this.#put(this.tree.root, this.#make(entry));
  }

  #addEntry(parent: Node, name: string, entry: IndexedEntry): void {
    let node = this.tree.find(parent, name);
    const merges = entry.type === "dir" && node !== NONE && this.#isDir(node);
    if (node !== NONE && !merges) this.#clear(node);
    if (node === NONE) node = this.#addNode(parent, name);
    this.#put(node, this.#make(entry));
  }

  #addLink(parent: Node, name: string, entry: IndexedEntry): void {
    const targetParts = splitPath(entry.link);
    const targetName = targetParts.pop();
    const directory = this.#walk(targetParts, entry.link, false);
    const target =
      targetName === undefined || directory === NONE ? NONE : this.tree.find(directory, targetName);
    if (target === NONE)
      throw corrupt(entry.path, `is a hard link to ${shownPath(entry.link)}, which is not there`);
    if (this.#isDir(target))
      throw corrupt(entry.path, `is a hard link to the directory ${shownPath(entry.link)}`);
    const inode = this.tree.inode(target);
    let node = this.tree.find(parent, name);
    if (node === NONE) node = this.#addNode(parent, name);
    else if (node !== target) this.#clear(node);
    this.#put(node, inode);
  }

  #hide(mark: Mark, parts: string[]): void {
    parts.pop();
    if (mark.kind === "bookkeeping") return;
    const directory = this.#walk(parts, "", false);
    if (directory === NONE) return;
    const top = mark.kind === "whiteout" ? this.tree.find(directory, mark.name) : directory;
    if (top === NONE || this.#isDoneBefore(top, mark.kind === "opaque")) return;
    this.#removeLower(top, mark.kind === "opaque");
    // A node of this layer may reuse the number of a removed one. Nothing of it is to be hidden either.
    this.#hidden.add(top);
  }

  /** Whether this layer has hidden `top` already, with the same mark or one above it. */
  #isDoneBefore(top: Node, keepTop: boolean): boolean {
    if (this.#hidden.size === 0) return false;
    if (this.#hidden.has(top) && (keepTop || this.tree.layer(top) === this.#layer)) return true;
    for (let node = top; node !== this.tree.root; ) {
      this.#step();
      node = this.tree.parent(node);
      if (this.#hidden.has(node)) return true;
    }
    return false;
  }

  /** Removes what lower layers have below a node and, unless `keepTop`, the node if it is theirs. */
  #removeLower(top: Node, keepTop: boolean): void {
    for (const node of this.#postOrder(top, this.#hidden)) {
      if (this.tree.layer(node) === this.#layer || (keepTop && node === top)) continue;
      this.inodes.release(this.tree.inode(node));
      // This layer has something inside: the directory stays, with default attributes.
      if (this.tree.firstChild(node) !== NONE) this.tree.set(node, NONE, this.#layer);
      else this.tree.remove(node);
    }
  }

  /** Removes everything below a node, of any layer, so that it can be replaced. */
  #clear(top: Node): void {
    for (const node of this.#postOrder(top)) {
      this.inodes.release(this.tree.inode(node));
      if (node === top) this.tree.set(node, NONE, this.#layer);
      else this.tree.remove(node);
    }
  }

  #put(node: Node, inode: number): void {
    // Before the old one is released, which may be the same.
    this.inodes.take(inode);
    this.inodes.release(this.tree.inode(node));
    this.tree.set(node, inode, this.#layer);
  }

  /** Symlinks on the way can make a path longer than any entry's. */
  #addNode(parent: Node, name: string): Node {
    const length = this.tree.pathLength(parent) + 1 + name.length;
    if (length <= MAX_PATH) return this.tree.add(parent, name);
    const facts = { limit: `${MAX_PATH} bytes of a path`, value: String(length) };
    throw layerFault("LAYER_TOO_LARGE", `it has a path of more than ${MAX_PATH} bytes`, facts);
  }

  #make(entry: IndexedEntry): number {
    return this.inodes.add(entry, this.#layer, this.#ordinal);
  }

  /** Whether a node is a directory. One without an inode is a directory without an entry. */
  #isDir(node: Node): boolean {
    const inode = this.tree.inode(node);
    return inode === NONE || this.inodes.type(inode) === "dir";
  }

  /**
   * Walks down from the root, following symlinks within the root.
   *
   * @returns the directory, or NONE when it is missing and not to be made
   */
  #walk(parts: readonly string[], path: string, make: boolean): Node {
    const ahead = [...parts].reverse();
    let node = this.tree.root;
    let followed = 0;
    for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
      this.#step();
      if (name === "..") node = this.tree.parent(node);
      if (name === ".." || name === "." || name === "") continue;
      let child = this.tree.find(node, name);
      if (child === NONE) {
        if (!make) return NONE;
        // Names of entries are checked; this one comes from a symlink.
        if (name.length > MAX_NAME)
          throw corrupt(path, `lies behind a symlink to a name longer than ${MAX_NAME} bytes`);
        child = this.#addNode(node, name);
        this.tree.set(child, NONE, this.#layer);
      }
      const target = this.#isDir(child) ? "" : this.inodes.linkTarget(this.tree.inode(child));
      if (target === "") {
        if (!this.#isDir(child) && !make) return NONE;
        if (!this.#isDir(child)) this.#replaceFile(child, path);
        node = child;
        continue;
      }
      if (++followed > MAX_SYMLINKS) throw corrupt(path, "lies behind symlinks that go round in circles");
      if (target.startsWith("/")) node = this.tree.root;
      ahead.push(...target.split("/").reverse());
    }
    return node;
  }

  #step(): void {
    if (++this.#steps <= MAX_STEPS) return;
    const facts = { limit: `${MAX_STEPS} steps along paths`, value: String(this.#steps) };
    throw layerFault("LAYER_TOO_LARGE", "its paths take too long to follow", facts);
  }

  /** Makes a lower layer's file a directory. The mark that hides the file may come later. */
  #replaceFile(node: Node, path: string): void {
    if (this.tree.layer(node) === this.#layer) {
      throw corrupt(path, `lies below ${shownPath(this.tree.path(node))}, which is not a directory`);
    }
    this.#clear(node);
  }

  /** Yields a node and all below it, children first, but nothing below `skipped` ones. */
  *#postOrder(top: Node, skipped?: ReadonlySet<Node>): Generator<Node, void, void> {
    const stack: { node: Node; children: Iterator<Node> }[] = [];
    const enter = (node: Node) => stack.push({ node, children: this.tree.children(node) });
    enter(top);
    for (let last = stack.at(-1); last !== undefined; last = stack.at(-1)) {
      const child = last.children.next();
      if (!child.done) {
        if (skipped?.has(child.value)) yield child.value;
        else enter(child.value);
      } else {
        stack.pop();
        yield last.node;
      }
    }
  }
}

function corrupt(path: string, problem: string) {
  return layerFault("LAYER_CORRUPT", `its entry ${shownPath(path)} ${problem}`, { path: shownPath(path) });
}
