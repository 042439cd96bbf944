import { createHash } from "node:crypto";
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
import { pathToFileURL } from "node:url";
import {
  type GuestFile,
  type GuestManifest,
  MANIFEST,
  readManifest,
} from "../../src/hostd/vmm/qemu/process/guest-assets.ts";
import { extractVmlinux } from "./bzimage.ts";
import { type CpioEntry, writeCpio } from "./cpio.ts";
import { compileInit, initSources } from "./init.ts";
import { fetchKernelPackage, unpackPackage } from "./kernel-package.ts";
import { orderModules, WANTED_MODULES } from "./modules.ts";
import { type Log, run } from "./run.ts";
import { makeScratchTemplate } from "./scratch.ts";
import { makeWarmUpImage, WARM_UP_SOURCE } from "./warm-up-image.ts";

const GUEST = join(import.meta.dirname, "..");
const STRIP_TIMEOUT_MS = 30_000;
const KEPT_SETS = 3;
const DRAFT = ".build-";
/** Apparent size of a scratch disk; a machine uses of it what it writes. */
const SCRATCH_BYTES = 8 * 1024 ** 3;

/**
 * Makes what every VM boots from, in `outDir`: kernel, initramfs with our init and the modules it needs, and an empty scratch disk;
 * `guest.json` describes them. Does nothing, and needs no network, when they are there and their sources have not changed. Killed at
 * any moment it leaves the old set or the new one. With `refresh`, takes a newer kernel when apt has one.
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
    removeOld(outDir);
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
  const images = readdirSync(join(tree, "boot")).filter((file) => file.startsWith("vmlinuz-"));
  const image = images[0] ?? fail(`${basename(archive)} holds no kernel`);
  const set = join(draft, "set");
  mkdirSync(set);
  writeFileSync(join(set, "vmlinux"), extractVmlinux(readFileSync(join(tree, "boot", image))));
  log("compiling the guest's init");
  const initFile = join(draft, "init");
  const [modules] = await Promise.all([
    collectModules(tree, draft),
    compileInit(initFile),
    makeWarmUpImage(join(set, "warm-up.sqfs"), draft),
  ]);
  writeFileSync(join(set, "initramfs.cpio"), writeCpio(initramfs(readFileSync(initFile), modules)));
  const extents = await makeScratchTemplate(join(set, "scratch.ext4"), SCRATCH_BYTES);

  const name = `set-${hashFiles(set).slice(0, 16)}`;
  // QEMU reads them as another user.
  for (const leaf of readdirSync(set)) chmodSync(join(set, leaf), 0o644);
  chmodSync(set, 0o755);
  moveInto(set, join(outDir, name));
  const file = (leaf: string): GuestFile => describe(outDir, `${name}/${leaf}`);
  const manifest: GuestManifest = {
    format: 2,
    inputs,
    kernel: { ...file("vmlinux"), version: image.slice("vmlinuz-".length), package: basename(archive) },
    initramfs: { ...file("initramfs.cpio"), modules: modules.map((module) => module.name) },
    scratch: { ...file("scratch.ext4"), sizeBytes: SCRATCH_BYTES, extents },
    warmUp: file("warm-up.sqfs"),
  };
  writeFileSync(join(draft, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
  renameSync(join(draft, MANIFEST), join(outDir, MANIFEST));
  return manifest;
}

interface Module {
  readonly name: string;
  readonly data: Buffer;
}

/** The modules in the order they must be loaded in, stripped: of symbols, and of signatures, which cost emulation dearly to check. */
async function collectModules(tree: string, draft: string): Promise<Module[]> {
  const root = join(tree, "lib/modules");
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".ko"),
  );
  const ordered = orderModules(
    WANTED_MODULES,
    files.map((file) => join(root, file)),
  );
  const modules: Module[] = [];
  for (const file of ordered) {
    const stripped = join(draft, basename(file));
    await run("strip", ["--strip-debug", "-o", stripped, file], { timeoutMs: STRIP_TIMEOUT_MS });
    modules.push({ name: basename(file, ".ko"), data: readFileSync(stripped) });
  }
  return modules;
}

/** The init loads `/modules` in the order of the names. */
function initramfs(init: Buffer, modules: readonly Module[]): CpioEntry[] {
  return [
    { path: "dev", mode: 0o755 },
    // The kernel opens it for init's standard streams.
    { path: "dev/console", mode: 0o600, device: [5, 1] },
    { path: "modules", mode: 0o755 },
    ...modules.map(({ name, data }, index) => ({
      path: `modules/${String(index).padStart(2, "0")}-${name}.ko`,
      mode: 0o644,
      data,
    })),
    { path: "init", mode: 0o755, data: init },
  ];
}

function hashSources(): string {
  const scripts = readdirSync(import.meta.dirname)
    .filter((file) => !file.endsWith(".test.ts"))
    .sort()
    .map((file) => join(import.meta.dirname, file));
  const hash = createHash("sha256");
  for (const file of [...scripts, ...initSources(), WARM_UP_SOURCE]) {
    hash
      .update(`${relative(GUEST, file)}\0`)
      .update(readFileSync(file))
      .update("\0");
  }
  return hash.digest("hex");
}

function hashFiles(dir: string): string {
  const hash = createHash("sha256");
  for (const file of readdirSync(dir).sort()) hash.update(readFileSync(join(dir, file)));
  return hash.digest("hex");
}

function describe(dir: string, file: string): GuestFile {
  const data = readFileSync(join(dir, file));
  return { file, bytes: data.length, sha256: createHash("sha256").update(data).digest("hex") };
}

/** By size only: reading 50 MB to compare hashes would cost each start of the fleet more than it could find. */
function isComplete(dir: string, manifest: GuestManifest): boolean {
  return [manifest.kernel, manifest.initramfs, manifest.scratch, manifest.warmUp].every(({ file, bytes }) => {
    return statSync(join(dir, file), { throwIfNoEntry: false })?.size === bytes;
  });
}

/** Takes the place of a set of the same content: one that another build was quicker with, or that has lost a file. */
function moveInto(draft: string, target: string): void {
  try {
    renameSync(draft, target);
  } catch (err) {
    if (!existsSync(target)) throw err;
    rmSync(target, { recursive: true, force: true });
    renameSync(draft, target);
  }
}

/** What builds have left that were killed; their number is the pid. */
function removeDrafts(outDir: string): void {
  for (const name of readdirSync(outDir)) {
    const pid = name.slice(DRAFT.length);
    if (name.startsWith(DRAFT) && !existsSync(`/proc/${pid}`))
      rmSync(join(outDir, name), { recursive: true });
  }
}

/** A hostd that runs has read where its files are, and goes on using them when newer ones have come. */
function removeOld(outDir: string): void {
  const sets = readdirSync(outDir).filter((name) => name.startsWith("set-"));
  const age = (name: string): number => statSync(join(outDir, name)).mtimeMs;
  for (const name of sets.sort((a, b) => age(b) - age(a)).slice(KEPT_SETS)) {
    rmSync(join(outDir, name), { recursive: true });
  }
}

function fail(message: string): never {
  throw new Error(message);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [outDir, flag] = process.argv.slice(2);
  if (outDir === undefined) throw new Error("usage: build.ts <directory> [--refresh]");
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const manifest = await buildGuest(resolve(outDir), say, { refresh: flag === "--refresh" });
  say(`guest with Linux ${manifest.kernel.version} in ${resolve(outDir)}`);
}
