import { createHash, hash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import {
  type GuestFile,
  type GuestManifest,
  MANIFEST,
  readManifest,
} from "../../src/hostd/vmm/qemu/process/guest-assets.ts";
import { extractVmlinux } from "./bzimage.ts";
import { BACKLOG_SOURCE, compileBacklog, compileInit, initSources } from "./init.ts";
import { makeInitramfs, readModules } from "./initramfs.ts";
import { fetchKernelPackage, type Log, unpackPackage } from "./kernel-package.ts";
import { makeScratchTemplate } from "./scratch.ts";
import { makeWarmUpImage, WARM_UP_SOURCE } from "./warm-up-image.ts";

const GUEST = join(import.meta.dirname, "..");
const KEPT_SETS = 3;
const DRAFT = ".build-";
/** Apparent size of a scratch disk; a machine uses of it what it writes. */
const SCRATCH_BYTES = 8 * 1024 ** 3;
/** What depends on nothing else; their dependencies are added. */
const MODULES = [
  ...["virtio_pci", "virtio_console", "virtio_blk", "virtio_net", "virtio_rng", "squashfs", "overlay"],
];

/**
 * Makes what every VM boots from, in `outDir`: kernel, initramfs with the init and its modules, an
 * empty scratch disk and the warm-up image; `guest.json` describes them. Does nothing, and needs no
 * network, when they are there and their sources have not changed. A build that is killed leaves
 * the old set or the new one. With `refresh`, takes a newer kernel when apt has one.
 */
export async function buildGuest(
  outDir: string,
  log: Log,
  options: { readonly refresh?: boolean } = {},
): Promise<GuestManifest> {
  const inputs = hashSources();
  const present = readManifest(outDir);
  if (present?.inputs === inputs && !options.refresh && isComplete(outDir, present)) return present;
  mkdirSync(outDir, { recursive: true });
  removeDrafts(outDir);
  const draft = join(outDir, `${DRAFT}${process.pid}`);
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft);
  try {
    const manifest = await build(outDir, draft, inputs, log);
    removeOldSets(outDir);
    return manifest;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

async function build(outDir: string, draft: string, inputs: string, log: Log): Promise<GuestManifest> {
  const archive = await fetchKernelPackage(join(outDir, "packages"), draft, log);
  log("unpacking the kernel");
  const tree = join(draft, "tree");
  await unpackPackage(archive, tree);
  const image = readdirSync(join(tree, "boot")).find((file) => file.startsWith("vmlinuz-"));
  if (image === undefined) throw new Error(`${basename(archive)} holds no kernel`);
  const set = join(draft, "set");
  mkdirSync(set);
  await extractVmlinux(readFileSync(join(tree, "boot", image)), join(set, "vmlinux"));
  log("compiling the guest's init");
  const init = join(draft, "init");
  const [modules] = await Promise.all([
    readModules(tree, draft, MODULES),
    compileInit(init),
    makeWarmUpImage(join(set, "warm-up.sqfs"), draft),
    compileBacklog(join(set, "backlog.so")),
  ]);
  writeFileSync(join(set, "initramfs.cpio"), makeInitramfs(readFileSync(init), modules));
  const extents = await makeScratchTemplate(join(set, "scratch.ext4"), SCRATCH_BYTES);

  const name = `set-${hashFiles(set).slice(0, 16)}`;
  // QEMU reads them as another user.
  for (const leaf of readdirSync(set)) chmodSync(join(set, leaf), 0o644);
  chmodSync(set, 0o755);
  moveSet(set, join(outDir, name));
  const file = (leaf: string): GuestFile => describe(outDir, `${name}/${leaf}`);
  const manifest: GuestManifest = {
    format: 3,
    inputs,
    kernel: { ...file("vmlinux"), version: image.slice("vmlinuz-".length), package: basename(archive) },
    initramfs: { ...file("initramfs.cpio"), modules: modules.map((module) => module.name) },
    scratch: { ...file("scratch.ext4"), sizeBytes: SCRATCH_BYTES, extents },
    warmUp: file("warm-up.sqfs"),
    backlog: file("backlog.so"),
  };
  writeFileSync(join(draft, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
  renameSync(join(draft, MANIFEST), join(outDir, MANIFEST));
  return manifest;
}

function hashSources(): string {
  const scripts = readdirSync(import.meta.dirname)
    .filter((file) => !file.endsWith(".test.ts"))
    .sort()
    .map((file) => join(import.meta.dirname, file));
  const sum = createHash("sha256");
  for (const file of [...scripts, ...initSources(), WARM_UP_SOURCE, BACKLOG_SOURCE]) {
    sum
      .update(`${relative(GUEST, file)}\0`)
      .update(readFileSync(file))
      .update("\0");
  }
  return sum.digest("hex");
}

function hashFiles(dir: string): string {
  const sum = createHash("sha256");
  for (const file of readdirSync(dir).sort()) sum.update(readFileSync(join(dir, file)));
  return sum.digest("hex");
}

function describe(dir: string, file: string): GuestFile {
  const data = readFileSync(join(dir, file));
  return { file, bytes: data.length, sha256: hash("sha256", data) };
}

/** Compares sizes only: hashing 50 MB would slow down every start of the fleet. */
function isComplete(dir: string, manifest: GuestManifest): boolean {
  const { kernel, initramfs, scratch, warmUp, backlog } = manifest;
  return [kernel, initramfs, scratch, warmUp, backlog].every(
    ({ file, bytes }) => statSync(join(dir, file), { throwIfNoEntry: false })?.size === bytes,
  );
}

/** Replaces a set of the same name, of another build or without some file. */
function moveSet(draft: string, target: string): void {
  try {
    renameSync(draft, target);
  } catch (err) {
    if (!existsSync(target)) throw err;
    rmSync(target, { recursive: true, force: true });
    renameSync(draft, target);
  }
}

/** Removes the drafts of builds that were killed; a draft's name ends in the build's pid. */
function removeDrafts(outDir: string): void {
  for (const name of readdirSync(outDir)) {
    const pid = name.slice(DRAFT.length);
    if (name.startsWith(DRAFT) && !existsSync(`/proc/${pid}`))
      rmSync(join(outDir, name), { recursive: true });
  }
}

/** Keeps some: a running hostd goes on using the set that it started with. */
function removeOldSets(outDir: string): void {
  const sets = readdirSync(outDir).filter((name) => name.startsWith("set-"));
  const age = (name: string): number => statSync(join(outDir, name)).mtimeMs;
  for (const name of sets.sort((a, b) => age(b) - age(a)).slice(KEPT_SETS)) {
    rmSync(join(outDir, name), { recursive: true });
  }
}

if (import.meta.main) {
  const [outDir, flag] = process.argv.slice(2);
  if (outDir === undefined) throw new Error("usage: build.ts <directory> [--refresh]");
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const manifest = await buildGuest(resolve(outDir), print, { refresh: flag === "--refresh" });
  print(`guest with Linux ${manifest.kernel.version} in ${resolve(outDir)}`);
}
