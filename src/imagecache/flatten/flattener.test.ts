import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { flatten, tree } from "../../../test/support/imagecache/flatten.ts";
import { applyLayers, type TarEntry as Entry, type ModelFile } from "../../../test/support/oci/index.ts";

const dir = (path: string, more: Partial<Entry> = {}): Entry => ({ path, type: "dir", ...more });
const file = (path: string, content = "", more: Partial<Entry> = {}): Entry => ({ path, content, ...more });
const symlink = (path: string, link: string): Entry => ({ path, type: "symlink", link });
const hardlink = (path: string, link: string): Entry => ({ path, type: "hardlink", link });

describe("layers on top of each other", () => {
  test("a file of an upper layer replaces that of a lower one", async () => {
    const image = await tree([[file("a", "lower")], [file("a", "upper")]]);

    expect(image.get("a")?.content).toBe("upper");
  });

  test("a whiteout hides what lower layers have, and leaves no trace", async () => {
    const image = await tree([[file("d/a"), file("d/b")], [file("d/.wh.a")]]);

    expect([...image.keys()]).toEqual(["", "d", "d/b"]);
  });

  test("a whiteout spares its own layer, wherever in the layer it stands", async () => {
    const lower = [file("d/a", "lower"), file("d/b", "lower")];
    const image = await tree([
      lower,
      [file("d/a", "upper"), file("d/.wh.a"), file("d/.wh.b"), file("d/b", "upper")],
    ]);

    expect(image.get("d/a")?.content).toBe("upper");
    expect(image.get("d/b")?.content).toBe("upper");
  });

  test("an opaque mark empties its directory of lower layers only, wherever it stands", async () => {
    const lower = [dir("d", { mode: 0o700 }), file("d/old"), file("d/sub/old")];
    const image = await tree([
      lower,
      [file("d/new"), file("d/sub/new"), file("d/.wh..wh..opq"), file("d/late")],
    ]);

    expect([...image.keys()].sort()).toEqual(["", "d", "d/late", "d/new", "d/sub", "d/sub/new"]);
    expect(image.get("d")?.mode).toBe(0o700);
    expect(image.get("d/sub")?.mode).toBe(0o755);
  });

  test("an opaque mark and a whiteout of one directory hide its old attributes as well", async () => {
    const lower = [dir("d", { mode: 0o700 }), file("d/old")];
    const image = await tree([lower, [file("d/new"), file("d/.wh..wh..opq"), file(".wh.d")]]);

    expect([...image.keys()].sort()).toEqual(["", "d", "d/new"]);
    expect(image.get("d")?.mode).toBe(0o755);
  });

  test("a directory over a directory keeps the children and takes the new attributes", async () => {
    const image = await tree([
      [dir("d", { mode: 0o755 }), file("d/a")],
      [dir("d", { mode: 0o1777, uid: 5 })],
    ]);

    expect(image.get("d")).toMatchObject({ mode: 0o1777, uid: 5 });
    expect(image.has("d/a")).toBe(true);
  });

  test("a file over a directory removes all that was in it, and a directory over a file the file", async () => {
    const image = await tree([
      [file("d/a/b"), file("f", "x")],
      [file("d", "now a file"), dir("f"), file("f/a")],
    ]);

    expect([...image.keys()].sort()).toEqual(["", "d", "f", "f/a"]);
    expect(image.get("f")?.type).toBe("dir");
  });

  test("directories on the way may be symlinks of a lower layer, absolute or relative", async () => {
    const lower = [dir("usr/bin"), symlink("bin", "usr/bin"), symlink("b2", "/usr/../../bin")];
    const image = await tree([lower, [file("bin/sh", "sh"), file("b2/ls", "ls")]]);

    expect([...image.keys()].sort()).toEqual(["", "b2", "bin", "usr", "usr/bin", "usr/bin/ls", "usr/bin/sh"]);
    expect(image.get("bin")?.type).toBe("symlink");
  });

  test("a directory in the place of a symlink replaces it instead of following it", async () => {
    const image = await tree([
      [dir("real"), symlink("d", "real")],
      [dir("d"), file("d/a")],
    ]);

    expect(image.get("d")?.type).toBe("dir");
    expect(image.has("real/a")).toBe(false);
  });

  test("a symlink that points above the root stays inside it", async () => {
    const image = await tree([[symlink("out", "../../../etc")], [file("out/passwd", "x")]]);

    expect(image.get("etc/passwd")?.content).toBe("x");
  });

  test("hard links share a file also across layers, and outlive its first name", async () => {
    const layers = [[file("a", "x")], [hardlink("b", "a"), hardlink("c", "a")], [file(".wh.a")]];
    const image = await tree(layers);

    expect([...image.keys()].sort()).toEqual(["", "b", "c"]);
    expect(image.get("b")).toBe(image.get("c"));
    expect(image.get("b")?.content).toBe("x");
  });

  test("a name given twice in one layer means the last one, and a link keeps the first", async () => {
    const image = await tree([[file("a", "one"), hardlink("b", "a"), file("a", "two")]]);

    expect(image.get("a")?.content).toBe("two");
    expect(image.get("b")?.content).toBe("one");
  });

  test("the root takes its attributes from its own entry", async () => {
    const image = await tree([[dir("./", { mode: 0o711, uid: 3 })]]);

    expect(image.get("")).toMatchObject({ type: "dir", mode: 0o711, uid: 3 });
  });

  test("AUFS leftovers disappear", async () => {
    const image = await tree([
      [file(".wh..wh.aufs"), dir(".wh..wh.plnk"), file(".wh..wh.plnk/1.2"), file("a")],
    ]);

    expect([...image.keys()].sort()).toEqual(["", "a"]);
  });
});

describe("what is refused", () => {
  test.each([
    ["a path with ..", [file("../etc/passwd")], "LAYER_PATH_ESCAPES"],
    ["a path with .. in the middle", [file("a/../../b")], "LAYER_PATH_ESCAPES"],
    ["a hard link to the outside", [hardlink("a", "../../etc/shadow")], "LAYER_PATH_ESCAPES"],
    ["a hard link to nothing", [hardlink("a", "b")], "LAYER_CORRUPT"],
    ["a hard link to a directory", [dir("d"), hardlink("a", "d")], "LAYER_CORRUPT"],
    ["a path below a file", [file("a"), file("a/b")], "LAYER_CORRUPT"],
    [
      "a path through symlinks in a circle",
      [symlink("a", "b"), symlink("b", "a"), file("a/x")],
      "LAYER_CORRUPT",
    ],
    [
      "a path through a symlink to a name longer than a file system allows",
      [symlink("a", "x".repeat(300)), file("a/b"), file(".wh..wh..opq")],
      "LAYER_CORRUPT",
    ],
    ["a file in the place of the root", [file(".")], "LAYER_CORRUPT"],
    ["a whiteout of nothing", [file(".wh.")], "LAYER_CORRUPT"],
    ["a whiteout of .", [file(".wh..")], "LAYER_CORRUPT"],
    ["a whiteout of ..", [file(".wh...")], "LAYER_CORRUPT"],
    ["a directory with a whiteout's name", [dir(".wh.a")], "LAYER_CORRUPT"],
    ["a name longer than a file system allows", [file("x".repeat(256))], "LAYER_CORRUPT"],
  ])("%s", async (_, layer, reason) => {
    await expect(flatten([layer])).rejects.toMatchObject({ reason });
  });

  test("an absolute path is one below the root", async () => {
    expect((await tree([[file("/etc/motd", "hi")]])).get("etc/motd")?.content).toBe("hi");
  });
});

const name = fc.constantFrom("a", "b", "c");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
const attributes = fc.record({ mode: fc.constantFrom(0o644, 0o755, 0o4755, 0o1777), uid: fc.nat(9) });
const mark = fc.oneof(
  fc.tuple(fc.array(name, { maxLength: 2 }), name).map(([at, n]) => file([...at, `.wh.${n}`].join("/"))),
  fc.array(name, { maxLength: 2 }).map((at) => file([...at, ".wh..wh..opq"].join("/"))),
);
const plain = fc.oneof(
  fc.tuple(path, fc.string({ maxLength: 3 }), attributes).map(([p, content, more]) => file(p, content, more)),
  fc.tuple(path, attributes).map(([p, more]) => dir(p, more)),
);
const target = fc.constantFrom("/a", "b", "../c", "/a/b", "./c/../a", "..", "/");
const linked = fc.oneof(
  { weight: 4, arbitrary: plain },
  fc.tuple(path, target).map(([p, t]) => symlink(p, t)),
  fc.tuple(path, path).map(([p, t]) => hardlink(p, t)),
);

describe("any stack of layers comes to what the model says", () => {
  test("with marks anywhere among the entries", { timeout: 30_000 }, async () => {
    const layer = fc.array(fc.oneof({ weight: 3, arbitrary: plain }, mark), { maxLength: 8 });

    await fc.assert(fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 4 }), agrees), {
      numRuns: 300,
    });
  });

  test("with symlinks and hard links, marks first", { timeout: 30_000 }, async () => {
    const layer = fc
      .tuple(fc.array(mark, { maxLength: 2 }), fc.array(linked, { maxLength: 7 }))
      .map(([marks, entries]) => [...marks, ...entries]);

    await fc.assert(fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 4 }), agrees), {
      numRuns: 500,
    });
  });
});

async function agrees(layers: Entry[][]): Promise<void> {
  let expected: Map<string, ModelFile>;
  try {
    expected = applyLayers(layers);
  } catch {
    await expect(flatten(layers)).rejects.toMatchObject({ reason: "LAYER_CORRUPT" });
    return;
  }
  const actual = await tree(layers);
  expect(comparable(actual)).toEqual(comparable(expected));
}

/** Paths in order, each with its attributes and the other names of the same file. */
function comparable(files: ReadonlyMap<string, ModelFile>) {
  const names = new Map<ModelFile, string[]>();
  for (const [at, f] of files) names.set(f, [...(names.get(f) ?? []), at].sort());
  // Links of symlinks are written as copies, so only files are compared by identity.
  return [...files]
    .map(([at, f]) => ({ at, ...f, same: f.type === "file" ? names.get(f) : [] }))
    .sort((a, b) => (a.at < b.at ? -1 : 1));
}
