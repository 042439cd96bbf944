import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A part of a sparse file that holds data: offset and length in bytes. */
export type Extent = readonly [offset: number, length: number];

/** The content of `guest.json`, which guest/build writes: the files that VMs are made of. */
export interface GuestManifest {
  readonly format: 3;
  readonly inputs: string;
  readonly kernel: GuestFile & { readonly version: string; readonly package: string };
  readonly initramfs: GuestFile & { readonly modules: readonly string[] };
  /** An empty disk of `sizeBytes`; the file holds only its extents, one after the other. */
  readonly scratch: GuestFile & { readonly sizeBytes: number; readonly extents: readonly Extent[] };
  readonly warmUp: GuestFile;
  /** Preloaded into QEMU, so that ports of guests have a queue of connections. */
  readonly backlog: GuestFile;
}

export interface GuestFile {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** The guest's files, by absolute path. */
export interface GuestAssets {
  readonly kernel: string;
  readonly initramfs: string;
  readonly scratch: {
    readonly data: Buffer;
    readonly sizeBytes: number;
    readonly extents: readonly Extent[];
  };
  readonly warmUp: string;
  /** In the folder of the kernel. */
  readonly backlog: string;
  readonly hash: string;
}

export const MANIFEST = "guest.json";

/** Reads the manifest in `dir`; undefined when there is none of this format. */
export function readManifest(dir: string): GuestManifest | undefined {
  try {
    // The build writes it whole and renames it into place.
    const manifest = JSON.parse(readFileSync(join(dir, MANIFEST), "utf8")) as GuestManifest;
    return manifest.format === 3 ? manifest : undefined;
  } catch {
    return undefined;
  }
}

/** Reads what the manifest in `dir` describes. Throws when there is none. */
export function loadGuestAssets(dir: string): GuestAssets {
  const manifest = readManifest(dir);
  if (manifest === undefined) throw new Error(`${dir} holds no guest; run "npm run setup"`);
  const { kernel, initramfs, scratch, warmUp, backlog } = manifest;
  const hash = createHash("sha256");
  for (const each of [kernel, initramfs, scratch, warmUp]) hash.update(each.sha256);
  return {
    kernel: join(dir, kernel.file),
    initramfs: join(dir, initramfs.file),
    scratch: {
      data: readFileSync(join(dir, scratch.file)),
      sizeBytes: scratch.sizeBytes,
      extents: scratch.extents,
    },
    warmUp: join(dir, warmUp.file),
    backlog: join(dir, backlog.file),
    hash: hash.digest("hex"),
  };
}
