import type { TarEntry } from "./tar.ts";

/** A file of the model: what a path stands for. Two paths with the same object are hard links of each other. */
export interface ModelFile {
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly content: string;
  readonly link: string;
}

interface Directory {
  file: ModelFile;
  readonly children: Map<string, Directory | Leaf>;
}

interface Leaf {
  readonly file: ModelFile;
  /** The layer that put it there. */
  readonly layer: number;
}

/** Root's, for everyone to enter: what a directory is that no entry describes. */
export const PLAIN_DIRECTORY: ModelFile = { type: "dir", mode: 0o755, uid: 0, content: "", link: "" };

/**
 * What layers come to, worked out in the most obvious way: objects for files, a map for each directory, and all
 * marks of a layer applied to what is below before its entries are. For comparing with the real thing.
 *
 * @returns every path and what it stands for; the root is the empty path
 * @throws when an entry cannot be applied
 */
export function applyLayers(layers: readonly (readonly TarEntry[])[]): Map<string, ModelFile> {
  const root: Directory = { file: PLAIN_DIRECTORY, children: new Map() };
  for (const [index, layer] of layers.entries()) {
    for (const entry of layer) if (isMark(entry)) hide(root, entry);
    for (const entry of layer) if (!isMark(entry)) put(root, entry, index);
  }
  const all = new Map<string, ModelFile>();
  list(root, "", all);
  return all;
}

function isMark(entry: TarEntry): boolean {
  return pathOf(entry).at(-1)?.startsWith(".wh.") ?? false;
}

function hide(root: Directory, entry: TarEntry): void {
  const parts = pathOf(entry);
  const mark = parts.pop() ?? "";
  const directory = walk(root, parts, -1);
  if (mark === ".wh..wh..opq") directory?.children.clear();
  else directory?.children.delete(mark.slice(4));
}

function put(root: Directory, entry: TarEntry, layer: number): void {
  const parts = pathOf(entry);
  const name = parts.pop();
  const file: ModelFile = {
    type: entry.type ?? "file",
    mode: entry.mode ?? (entry.type === "symlink" ? 0o777 : entry.type === "dir" ? 0o755 : 0o644),
    uid: entry.uid ?? 0,
    content: String(entry.content ?? ""),
    link: entry.type === "symlink" ? String(entry.link) : "",
  };
  if (name === undefined) {
    root.file = file;
    return;
  }
  const parent = walk(root, parts, layer);
  if (parent === undefined) throw new Error("not a directory");
  const before = parent.children.get(name);
  if (entry.type === "dir") {
    if (before && "children" in before) before.file = file;
    else parent.children.set(name, { file, children: new Map() });
  } else if (entry.type === "hardlink") {
    const target = String(entry.link).split("/");
    const last = target.pop() ?? "";
    const found = walk(root, target, -1)?.children.get(last);
    if (found === undefined || "children" in found) throw new Error("nothing to link to");
    parent.children.set(name, { file: found.file, layer });
  } else {
    parent.children.set(name, { file, layer });
  }
}

/** @param making the layer that directories are made for; -1 when none are */
function walk(root: Directory, parts: readonly string[], making: number): Directory | undefined {
  let trail = [root];
  let budget = 1000;
  const rest = [...parts];
  while (rest.length > 0) {
    if (--budget === 0) throw new Error("round in circles");
    const name = rest.shift() ?? "";
    const here = trail.at(-1) ?? root;
    if (name === "" || name === ".") continue;
    if (name === "..") {
      if (trail.length > 1) trail.pop();
      continue;
    }
    let next = here.children.get(name);
    const inTheWay = next && !("children" in next) && next.file.type !== "symlink" && next.layer < making;
    if (next === undefined || inTheWay) {
      if (making < 0) return undefined;
      next = { file: PLAIN_DIRECTORY, children: new Map() };
      here.children.set(name, next);
    }
    if ("children" in next) trail.push(next);
    else if (next.file.type === "symlink") {
      if (next.file.link.startsWith("/")) trail = [root];
      rest.unshift(...next.file.link.split("/"));
    } else return undefined;
  }
  return trail.at(-1);
}

function list(directory: Directory, path: string, all: Map<string, ModelFile>): void {
  all.set(path, directory.file);
  for (const [name, child] of directory.children) {
    const at = path === "" ? name : `${path}/${name}`;
    if ("children" in child) list(child, at, all);
    else all.set(at, child.file);
  }
}

function pathOf(entry: TarEntry): string[] {
  return String(entry.path)
    .split("/")
    .filter((part) => part !== "" && part !== ".");
}
