import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type BuiltImage,
  buildImage,
  pushImage,
  RegistryProcess,
  type TarEntry,
} from "../../../support/oci/index.ts";
import { type TemporaryFolder, temporaryFolder } from "../../../support/temporary.ts";
import { readSquashfs, startImageCache, type TestImageCache, xattrsOf } from "../fixture.ts";

// What skopeo fetches and umoci unpacks of an image is compared with what comes out of our squashfs. Neither shares a line of
// code with us. As root, owners and devices are compared too.

const isRoot = process.getuid?.() === 0;
let registry: RegistryProcess;
let cache: TestImageCache;
let folder: TemporaryFolder;
let sequence = 0;
beforeAll(async () => {
  registry = await RegistryProcess.start();
  cache = await startImageCache();
  folder = temporaryFolder("oracle");
});
afterAll(async () => {
  folder.remove();
  await cache[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

/** Pushes an image under a name of its own. */
async function push(image: BuiltImage): Promise<string> {
  const name = `oracle${++sequence}`;
  await pushImage(registry.url, name, "latest", image);
  return name;
}

async function unpackOurs(name: string, image: BuiltImage): Promise<{ tree: Tree; rootfs: string }> {
  const { rootfs } = await cache.ensure(`${registry.host}/${name}:latest`, image.digest);
  const at = join(folder.path, `${name}-ours`);
  const ignore = isRoot ? [] : ["-ignore-errors"];
  run("unsquashfs", "-quiet", "-no-progress", ...ignore, "-dest", at, rootfs);
  return { tree: readTree(at), rootfs };
}

function unpackTheirs(name: string): Tree {
  const at = join(folder.path, `${name}-theirs`);
  const layout = join(folder.path, `${name}-oci`);
  const options = ["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"];
  run("skopeo", ...options, `docker://${registry.host}/${name}:latest`, `oci:${layout}:latest`);
  run("umoci", "unpack", ...(isRoot ? [] : ["--rootless"]), "--image", `${layout}:latest`, at);
  return readTree(join(at, "rootfs"));
}

async function both(image: BuiltImage): Promise<{ ours: Tree; theirs: Tree; rootfs: string }> {
  const name = await push(image);
  const { tree: ours, rootfs } = await unpackOurs(name, image);
  return { ours, theirs: unpackTheirs(name), rootfs };
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"], timeout: 60_000 });
}

/** What is at each path, and which paths are one file. */
type Tree = Map<string, Record<string, unknown>>;

function readTree(root: string): Tree {
  const tree: Tree = new Map();
  const names = new Map<number, string[]>();
  const visit = (path: string) => {
    const full = join(root, path);
    const info = lstatSync(full);
    const type = info.mode & 0o170000;
    if (!isRoot && [0o020000, 0o060000].includes(type)) return;
    const isFile = info.isFile();
    const same = isFile ? (names.get(info.ino) ?? []) : [];
    if (isFile) names.set(info.ino, same);
    same.push(path);
    tree.set(path, {
      type: type.toString(8),
      mode: info.isSymbolicLink() ? "" : (info.mode & 0o7777).toString(8),
      owner: isRoot ? `${info.uid}:${info.gid}` : "",
      device: info.rdev,
      size: isFile ? info.size : 0,
      // umoci leaves the time of unpacking on directories that it removes something from.
      mtime: info.isDirectory() ? 0 : Math.floor(info.mtimeMs / 1000),
      link: info.isSymbolicLink() ? readlinkSync(full) : "",
      content: isFile ? createHash("sha256").update(readFileSync(full)).digest("hex") : "",
      same,
    });
    if (info.isDirectory()) for (const child of readdirSync(full).sort()) visit(join(path, child));
  };
  visit("");
  return tree;
}

const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
const BASE: TarEntry[] = [
  { path: "./", type: "dir", mode: 0o755, mtime: 1_500_000_000 },
  { path: "usr", type: "dir" },
  { path: "usr/bin", type: "dir", mode: 0o751, uid: 3, gid: 4 },
  { path: "bin", type: "symlink", link: "usr/bin" },
  { path: "abs", type: "symlink", link: "/usr/bin" },
  { path: "usr/bin/su", content: "su", mode: 0o4755, uid: 0, gid: 12 },
  {
    path: "usr/bin/ping",
    content: "ping",
    xattrs: { "security.capability": capability, "user.note": "a=b\nc" },
  },
  { path: "usr/bin/alias", type: "hardlink", link: "usr/bin/su", mode: 0o4755, gid: 12 },
  { path: "tmp", type: "dir", mode: 0o1777 },
  { path: "etc/passwd", content: "root:x:0:0::/:/bin/sh\n", uid: 70_000, gid: 3_000_000 },
  { path: "etc/old.conf", content: "old" },
  { path: "etc/conf.d", type: "dir", mode: 0o700, uid: 9 },
  { path: "etc/conf.d/a", content: "a" },
  { path: "etc/conf.d/sub/b", content: "b" },
  { path: "var/replaced", type: "dir" },
  { path: "var/replaced/inside", content: "gone" },
  { path: "var/file", content: "becomes a directory" },
  { path: "var/link", type: "symlink", link: "nowhere" },
  { path: "dev/null", type: "char", major: 1, minor: 3, mode: 0o666 },
  { path: "dev/sda", type: "block", major: 8, minor: 0, mode: 0o660, gid: 6 },
  { path: "run/fifo", type: "fifo", mode: 0o600 },
  { path: `srv/${"l".repeat(120)}/${"n".repeat(200)}`, content: "pax" },
  { path: `srv/${"g".repeat(250)}`, content: "gnu", longNames: "gnu" },
  { path: "srv/long-link", type: "symlink", link: "t".repeat(300) },
  { path: "srv/Grüße ☕", content: "utf-8" },
  { path: "srv/empty", content: "" },
  { path: "srv/big", content: Buffer.alloc(400_000, "abc") },
  { path: "srv/old-time", content: "x", mtime: 1 },
];
const CHANGES: TarEntry[] = [
  { path: "bin/sh", content: "through a symlink", mode: 0o755 },
  { path: "abs/ls", content: "through an absolute symlink" },
  { path: "usr/bin/.wh.alias" },
  { path: "usr/bin/second", type: "hardlink", link: "usr/bin/su", mode: 0o4755, gid: 12 },
  { path: "etc/.wh.old.conf" },
  { path: "etc/conf.d/.wh..wh..opq" },
  { path: "etc/conf.d/c", content: "c" },
  { path: "var/replaced", content: "now a file" },
  { path: "var/file", type: "dir", mode: 0o750 },
  { path: "var/file/inside", content: "new" },
  { path: "var/link", type: "dir" },
  { path: "var/link/x", content: "not followed" },
  { path: "tmp", type: "dir", mode: 0o700 },
  { path: "dev/.wh.null" },
];
const LAST: TarEntry[] = [
  { path: "etc/conf.d/late", content: "stands before the mark" },
  { path: "etc/conf.d/.wh..wh..opq" },
  { path: "twice", content: "first" },
  { path: "twice", content: "second", mode: 0o600 },
  { path: "srv/.wh.big" },
  { path: "srv/big", content: "small again" },
  { path: "new/without/parents", content: "x" },
];
describe("an image with one of everything", () => {
  test.each([
    ["OCI types, gzip", { mediaTypes: "oci", compression: "gzip" }],
    ["Docker types, gzip", { mediaTypes: "docker", compression: "gzip" }],
    ["OCI types, not compressed", { mediaTypes: "oci", compression: "none" }],
  ] as const)("comes out as umoci unpacks it: %s", async (_, spec) => {
    const { ours, theirs } = await both(buildImage({ layers: [BASE, CHANGES, LAST], ...spec }));

    expect(ours).toEqual(theirs);
    expect(ours.get("etc/conf.d/late")).toBeDefined();
    expect(ours.has("etc/conf.d/c")).toBe(false);
  });

  test("keeps the times of directories, and gives none to those that no layer describes", async () => {
    const { rootfs } = await both(buildImage({ layers: [BASE, CHANGES, LAST] }));

    const files = readSquashfs(rootfs);
    const times = ["", "usr/bin", "etc", "new/without"].map((path) => files.get(path)?.time);
    expect(times).toEqual(["2017-07-14 02:40", "2020-09-13 12:26", "1970-01-01 00:00", "1970-01-01 00:00"]);
  });

  test("keeps extended attributes, binary ones too", async () => {
    const { rootfs } = await both(buildImage({ layers: [BASE] }));

    const attributes = xattrsOf(rootfs, "usr/bin/ping").join("\n");
    expect(attributes).toContain(`security.capability=0x${capability.toString("hex")}`);
    expect(attributes).toContain("user.note=a=b");
  });

  test("comes out the same from zstd, which umoci cannot read, as from gzip", async () => {
    const layers = [BASE, CHANGES, LAST];
    const [gzip, zstd] = (["gzip", "zstd"] as const).map((compression) =>
      buildImage({ layers, compression }),
    );
    if (!gzip || !zstd) throw new Error("unreachable");
    await pushImage(registry.url, "packed", "gzip", gzip);
    await pushImage(registry.url, "packed", "zstd", zstd);

    const first = await cache.ensure(`${registry.host}/packed:gzip`, gzip.digest);
    const second = await cache.ensure(`${registry.host}/packed:zstd`, zstd.digest);

    expect(readFileSync(second.rootfs).equals(readFileSync(first.rootfs))).toBe(true);
  });
});

test("sparse files of all dialects hold what GNU tar finds in them", async () => {
  const chunks = Array.from({ length: 30 }, (_, i) => ({
    offset: 1024 * (4 * i + 1),
    data: Buffer.alloc(512, 65 + i),
  }));
  const formats = ["gnu-old", "pax-0.0", "pax-0.1", "pax-1.0"] as const;
  const entries = formats.map(
    (format): TarEntry => ({ path: format, sparse: { format, size: 200_000, chunks } }),
  );
  const whole = Buffer.alloc(200_000);
  for (const { offset, data } of chunks) data.copy(whole, offset);
  const image = buildImage({ layers: [[...entries, { path: "after", content: "still in step" }]] });
  await pushImage(registry.url, "sparse", "latest", image);

  const { rootfs } = await cache.ensure(`${registry.host}/sparse`, image.digest);

  const at = join(folder.path, "sparse");
  run("unsquashfs", "-quiet", "-no-progress", "-dest", at, rootfs);
  for (const format of formats) expect(readFileSync(join(at, format)).equals(whole), format).toBe(true);
  expect(readFileSync(join(at, "after"), "utf8")).toBe("still in step");
});

const name = fc.constantFrom("a", "b", "c");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
const entry: fc.Arbitrary<TarEntry> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ path, content: fc.string({ maxLength: 3 }), mode: fc.constantFrom(0o644, 0o600) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ path, type: fc.constant("dir" as const), mode: fc.constantFrom(0o755, 0o700) }),
  },
  fc.record({ path, type: fc.constant("symlink" as const), link: fc.constantFrom("/a", "b", "../c", "/") }),
);
const mark: fc.Arbitrary<TarEntry> = fc
  .tuple(fc.array(name, { maxLength: 2 }), fc.oneof(name, fc.constant(".wh..opq")))
  .map(([at, n]) => ({ path: [...at, `.wh.${n}`].join("/") }));

test("random stacks of layers come out as umoci unpacks them, and what we refuse it refuses", {
  timeout: 300_000,
}, async () => {
  const layer = fc
    .tuple(fc.array(mark, { maxLength: 2 }), fc.array(entry, { maxLength: 5 }))
    .map(([marks, entries]) => [...marks, ...entries]);
  const stacks = fc.sample(fc.array(layer, { minLength: 2, maxLength: 3 }), { numRuns: 30, seed: 7 });
  let compared = 0;
  for (const layers of stacks) {
    const image = buildImage({ layers });
    const name = await push(image);
    const what = JSON.stringify(layers);
    const theirs = attempt(() => unpackTheirs(name));
    const ours = await unpackOurs(name, image).catch((err: Error) => err);
    if (ours instanceof Error) {
      expect(ours, what).toMatchObject({ reason: "LAYER_CORRUPT" });
      expect(theirs, what).toBeUndefined();
    } else if (theirs) {
      expect(ours.tree, what).toEqual(theirs);
      compared++;
    }
  }
  expect(compared).toBeGreaterThan(15);
});

/** It refuses some that we accept: a directory in the place of a lower layer's file that nobody removed. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
