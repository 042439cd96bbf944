import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { chmod, open, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { syncFolder } from "../../../../lib/stores/durable-file.ts";
import { makePrivateFolder } from "../../../../lib/stores/private-folder.ts";
import type { SavedVm, Shape } from "../../vmm.ts";

/** What a saved VM is made of. Written last: a folder without it is none. */
export interface SavedManifest {
  readonly format: typeof FORMAT;
  /** Of all that the saved VM depends on. */
  readonly key: string;
  readonly shape: Shape;
  /** Number of the last line that is stored. */
  readonly lastLine: number;
  /** Whether its disk is the machine's own, which is in another account. Absent: it is a copy. */
  readonly isOwnDisk?: boolean;
}

/** The files of a saved VM. */
export const SAVED_FILES = { memory: "memory", devices: "devices", scratch: "scratch.disk" } as const;

const FORMAT = 1;
const MANIFEST = "saved.json";
const DRAFT = ".draft";
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,95}$/;
const PRIVATE_FILE = 0o600;
/** Unit of `Stats.blocks`. */
const BLOCK_BYTES = 512;

/** The saved VMs of a host: a folder each, which only hostd may enter. */
export class SavedVms {
  readonly #root: string;

  /** Removes what saves of an earlier hostd did not complete. @param dir the host's data directory */
  constructor(dir: string) {
    this.#root = join(dir, "saved");
    makePrivateFolder(this.#root);
    for (const name of readdirSync(this.#root))
      if (name.endsWith(DRAFT)) rmSync(join(this.#root, name), { recursive: true, force: true });
  }

  /** Returns the folder of a saved VM, whether it exists or not. Throws for what cannot be a name. */
  path(name: string): string {
    if (!NAME.test(name)) throw new Error(`${JSON.stringify(name)} is no name of a saved VM`);
    return join(this.#root, name);
  }

  has(name: string): boolean {
    return existsSync(join(this.path(name), MANIFEST));
  }

  list(): readonly SavedVm[] {
    return readdirSync(this.#root)
      .filter((name) => NAME.test(name) && this.has(name))
      .map((name) => ({ name, bytes: bytesOf(this.path(name), this.#isOwnDisk(name)) }));
  }

  /** Reads the manifest. @throws Error when it is not there or of another format */
  manifest(name: string): SavedManifest {
    // Written by `commit`; what it describes is checked by its key.
    const manifest = JSON.parse(readFileSync(join(this.path(name), MANIFEST), "utf8")) as SavedManifest;
    if (manifest.format !== FORMAT) throw new Error("the saved VM has another format");
    return manifest;
  }

  /** Makes an empty draft, in place of one that is left. */
  async draft(name: string): Promise<string> {
    const draft = this.path(name) + DRAFT;
    await rm(draft, { recursive: true, force: true });
    mkdirSync(draft, { mode: 0o700 });
    return draft;
  }

  /** Makes a draft the saved VM, on disk and whole. */
  async commit(name: string, of: Omit<SavedManifest, "format">): Promise<SavedVm> {
    const folder = this.path(name);
    const draft = folder + DRAFT;
    const manifest: SavedManifest = { format: FORMAT, ...of };
    await writeFile(join(draft, MANIFEST), JSON.stringify(manifest), { mode: PRIVATE_FILE });
    for (const file of [...Object.values(SAVED_FILES), MANIFEST]) await makePrivate(join(draft, file));
    await syncFolder(draft);
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
    await syncFolder(this.#root);
    return { name, bytes: bytesOf(folder, of.isOwnDisk) };
  }

  async dropDraft(name: string): Promise<void> {
    await rm(this.path(name) + DRAFT, { recursive: true, force: true });
  }

  async drop(name: string): Promise<void> {
    const folder = this.path(name);
    // First the manifest: what a crash leaves is no saved VM.
    await rm(join(folder, MANIFEST), { force: true });
    await rm(folder, { recursive: true, force: true });
  }

  #isOwnDisk(name: string): boolean | undefined {
    try {
      return this.manifest(name).isOwnDisk;
    } catch {
      // Of another version of hostd.
      return undefined;
    }
  }
}

/**
 * Checks that a draft takes no more than it may once a disk has been copied to it.
 *
 * @throws Error
 */
export function requireRoom(draft: string, disk: string, maxBytes: number): void {
  const bytes = bytesOf(draft, false) + statSync(disk).blocks * BLOCK_BYTES;
  if (bytes > maxBytes) throw new Error(`it would take ${bytes} bytes of the disk, more than ${maxBytes}`);
}

/** Links a file that a VM's user owns. Throws when it is no file of its own, such as a link to another. */
export function linkFile(from: string, to: string): void {
  linkSync(from, to);
  if (!lstatSync(to).isFile()) throw new Error(`${from} is no file`);
}

/** Writes a file to the disk, and lets only hostd read it. */
async function makePrivate(file: string): Promise<void> {
  if (!lstatSync(file).isFile()) throw new Error(`${file} is no file`);
  await chmod(file, PRIVATE_FILE);
  const handle = await open(file, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function bytesOf(folder: string, isOwnDisk = false): number {
  const files = readdirSync(folder).filter((file) => !isOwnDisk || file !== SAVED_FILES.scratch);
  const blocks = files.map((file) => statSync(join(folder, file)).blocks);
  return blocks.reduce((sum, each) => sum + each * BLOCK_BYTES, 0);
}
