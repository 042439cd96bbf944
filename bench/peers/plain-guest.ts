import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeInitramfs, readModules } from "../../guest/build/initramfs.ts";
import { unpackPackage } from "../../guest/build/kernel-package.ts";
import { readManifest } from "../../src/hostd/index.ts";
import { compile } from "../lib/program.ts";

/** The files of a boot by hand, without the root disk. */
export interface PlainGuest {
  /** The kernel unpacked, as Windhover boots it. */
  readonly vmlinux: string;
  /** The same kernel as Debian ships it. */
  readonly bzImage: string;
  readonly initramfs: string;
}

/** For a disk with the program; it needs nothing else. */
const MODULES = ["virtio_pci", "virtio_blk", "squashfs"];
/** For a program that serves. */
const NETWORK_MODULES = ["virtio_net"];

/**
 * Makes a minimal initramfs in `dir`, from the kernel package of the fleet's guests.
 *
 * @param hasNetwork whether its programs serve
 */
export async function makePlainGuest(
  guestDir: string,
  dir: string,
  signal: AbortSignal,
  hasNetwork = false,
): Promise<PlainGuest> {
  const manifest = readManifest(guestDir);
  if (manifest === undefined) throw new Error(`${guestDir} holds no guest; run "npm run setup"`);
  const tree = join(dir, "kernel");
  mkdirSync(tree);
  await unpackPackage(join(guestDir, "packages", manifest.kernel.package), tree);
  const init = await compile("plain-init", dir, signal);
  const modules = await readModules(tree, dir, hasNetwork ? [...MODULES, ...NETWORK_MODULES] : MODULES);
  const initramfs = join(dir, "plain.cpio");
  writeFileSync(initramfs, makeInitramfs(readFileSync(init), modules));
  return {
    vmlinux: join(guestDir, manifest.kernel.file),
    bzImage: join(tree, "boot", `vmlinuz-${manifest.kernel.version}`),
    initramfs,
  };
}
