import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A stretch of a sparse file that holds data: offset and length in bytes. */
export type Extent = readonly [offset: number, length: number];

/** What `guest.json` says: the files that every VM on this host is made of. Written by guest/build. */
export interface GuestManifest {
  readonly format: 2;
  /** Hash of everything the files were made from; equal inputs need no new build. */
  readonly inputs: string;
  readonly kernel: GuestFile & { readonly version: string; readonly package: string };
  readonly initramfs: GuestFile & { readonly modules: readonly string[] };
  /** An empty disk of `sizeBytes`; the file holds only its extents, one after the other. */
  readonly scratch: GuestFile & { readonly sizeBytes: number; readonly extents: readonly Extent[] };
  /** The root file system of rehearsals. */
  readonly warmUp: GuestFile;
}

/** One file, relative to the manifest. */
export interface GuestFile {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** The guest's files, found and opened by absolute path. */
export interface GuestAssets {
  readonly dir: string;
  readonly kernel: string;
  readonly initramfs: string;
  readonly scratch: {
    readonly data: Buffer;
    readonly sizeBytes: number;
    readonly extents: readonly Extent[];
  };
  readonly warmUp: string;
  readonly kernelVersion: string;
  /** Changes whenever any of the files does: part of the key of whatever is made with them. */
  readonly hash: string;
}

/** Name of the manifest in the guest's directory. */
export const MANIFEST = "guest.json";

/** Reads the manifest in `dir`, or undefined when there is none that this version understands. */
export function readManifest(dir: string): GuestManifest | undefined {
  try {
    // What it holds is ours: written whole and renamed into place by the build.
    const manifest = JSON.parse(readFileSync(join(dir, MANIFEST), "utf8")) as GuestManifest;
    return manifest.format === 2 ? manifest : undefined;
  } catch {
    return undefined;
  }
}

/** Opens the guest's files. Throws when they have not been built. */
export function loadGuestAssets(dir: string): GuestAssets {
  const manifest = readManifest(dir);
  if (manifest === undefined) throw new Error(`${dir} holds no guest; run "npm run setup"`);
  const { kernel, initramfs, scratch, warmUp } = manifest;
  const hash = createHash("sha256");
  for (const each of [kernel, initramfs, scratch, warmUp]) hash.update(each.sha256);
  return {
    dir,
    kernel: join(dir, kernel.file),
    initramfs: join(dir, initramfs.file),
    scratch: {
      data: readFileSync(join(dir, scratch.file)),
      sizeBytes: scratch.sizeBytes,
      extents: scratch.extents,
    },
    warmUp: join(dir, warmUp.file),
    kernelVersion: kernel.version,
    hash: hash.digest("hex"),
  };
}
