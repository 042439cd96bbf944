import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type CpioEntry, writeCpio } from "../../guest/build/cpio.ts";
import { unpackPackage } from "../../guest/build/kernel-package.ts";
import { orderModules } from "../../guest/build/modules.ts";
import { readManifest } from "../../src/hostd/vmm/qemu/process/guest-assets.ts";
import { run } from "../../tools/lib/run.ts";
import { compile } from "../lib/program.ts";

/** What a hand-made boot needs besides the root disk. */
export interface PlainGuest {
  /** The kernel as Windhover boots it: unpacked. */
  readonly vmlinux: string;
  /** The same kernel as Debian ships it. */
  readonly bzImage: string;
  readonly initramfs: string;
}

/** A disk to read from: nothing else is needed to run the program. */
const MODULES = ["virtio_pci", "virtio_blk", "squashfs"];

/** Makes a minimal initramfs in `dir`, from the same kernel package that the fleet's guests are made of. */
export async function makePlainGuest(
  guestDir: string,
  dir: string,
  signal: AbortSignal,
): Promise<PlainGuest> {
  const manifest = readManifest(guestDir);
  if (manifest === undefined) throw new Error(`${guestDir} holds no guest; run "npm run setup"`);
  const tree = join(dir, "kernel");
  mkdirSync(tree);
  await unpackPackage(join(guestDir, "packages", manifest.kernel.package), tree);
  const init = join(dir, "plain-init");
  await compile("plain-init", init, signal);
  const entries: CpioEntry[] = [
    { path: "dev", mode: 0o755 },
    { path: "dev/console", mode: 0o600, device: [5, 1] },
    { path: "modules", mode: 0o755 },
    ...(await moduleEntries(tree, dir, signal)),
    { path: "init", mode: 0o755, data: readFileSync(init) },
  ];
  const initramfs = join(dir, "plain.cpio");
  writeFileSync(initramfs, writeCpio(entries));
  return {
    vmlinux: join(guestDir, manifest.kernel.file),
    bzImage: join(tree, "boot", `vmlinuz-${manifest.kernel.version}`),
    initramfs,
  };
}

/** Stripped as the fleet's own are: signatures cost emulation dearly to check. */
async function moduleEntries(tree: string, dir: string, signal: AbortSignal): Promise<CpioEntry[]> {
  const root = join(tree, "lib/modules");
  const files = readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ko"))
    .map((file) => join(root, file));
  const entries: CpioEntry[] = [];
  for (const [index, file] of orderModules(MODULES, files).entries()) {
    const stripped = join(dir, basename(file));
    await run("strip", ["--strip-debug", "-o", stripped, file], { signal });
    const path = `modules/${String(index).padStart(2, "0")}-${basename(file)}`;
    entries.push({ path, mode: 0o644, data: readFileSync(stripped) });
  }
  return entries;
}
