import { createHash, hash } from "node:crypto";
import { createReadStream, mkdirSync } from "node:fs";
import { chmod, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describeError, logger } from "../../../../lib/runtime/log.ts";
import { makePrivateFolder } from "../../../../lib/stores/private-folder.ts";
import type { PoolMetrics } from "../../pool-metrics.ts";
import type { Shape } from "../../vmm.ts";
import { shapeKey } from "./pool-policy.ts";
import type { Template } from "./template.ts";

export interface TemplateStoreOptions {
  readonly dir: string;
  /** The most disk that all memory files may take. */
  readonly budgetMb: number;
  /** Makes a key of all that a template of this shape depends on. */
  readonly key: (shape: Shape) => string;
  /** Saves a template: its memory in the file, the rest in the result. */
  readonly make: (shape: Shape, memory: string, signal: AbortSignal) => Promise<Buffer>;
  readonly metrics: PoolMetrics;
  /** Milliseconds since the epoch. Default: the host's clock. */
  readonly now?: () => number;
}

/** Written last, so a folder without it is no template. */
const MANIFEST = "template.json";
const MEMORY = "memory";
const STATE = "state";
const FORMAT = 1;
const DRAFT = "draft-";
const HASH_CHUNK_BYTES = 256 * 1024;
/** Unit of `Stats.blocks`. */
const BLOCK_BYTES = 512;
const MB = 1024 * 1024;
/** Writable for every VM's user, who gets the file and not its folder: QEMU 7.2 opens memory for writing even if it maps it privately. */
const MEMORY_MODE = 0o666;

interface Manifest {
  readonly format: typeof FORMAT;
  readonly shape: Shape;
  readonly madeAtMs: number;
  readonly memorySha256: string;
  readonly stateSha256: string;
}

interface Entry {
  readonly template: Template;
  readonly dir: string;
  /** Changes with every write to the memory file. */
  readonly fingerprint: string;
  readonly bytes: number;
  usedAtMs: number;
}

/** The templates on this host's disk, one per shape, as long as their key and the room allow. */
export class TemplateStore {
  readonly #options: TemplateStoreOptions;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  constructor(options: TemplateStoreOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    makePrivateFolder(options.dir);
  }

  /** Loads the templates of an earlier hostd; removes those that cannot be used. */
  async load(): Promise<void> {
    const { dir, key } = this.#options;
    for (const name of await readdir(dir)) {
      const folder = join(dir, name);
      try {
        // Written by `make`; what it describes is checked below.
        const manifest = JSON.parse(await readFile(join(folder, MANIFEST), "utf8")) as Manifest;
        if (manifest.format !== FORMAT || key(manifest.shape) !== name) throw new Error("it has another key");
        this.#add(await openEntry(folder, manifest));
      } catch (err) {
        logger.info("removing a template", { template: name, reason: describeError(err) });
        await rm(folder, { recursive: true, force: true });
      }
    }
    await this.#makeRoom();
  }

  /** Whether there is a template of the shape; `find` may still reject it. */
  has(shape: Shape): boolean {
    return this.#entries.has(shapeKey(shape));
  }

  /** Returns the template of a shape, unless its memory was written to. */
  async find(shape: Shape): Promise<Template | undefined> {
    const entry = this.#entries.get(shapeKey(shape));
    if (!entry) return undefined;
    if ((await fingerprintOf(join(entry.dir, MEMORY)).catch(() => "")) !== entry.fingerprint) {
      logger.error("the memory of a template was written to; removing it", { shape: shapeKey(shape) });
      await this.remove(shape);
      return undefined;
    }
    entry.usedAtMs = this.#now();
    return entry.template;
  }

  /** Makes a template, and replaces the one of that shape. */
  async make(shape: Shape, signal: AbortSignal): Promise<Template> {
    const { dir, key, make } = this.#options;
    const name = key(shape);
    const draft = join(dir, DRAFT + name);
    await rm(draft, { recursive: true, force: true });
    mkdirSync(draft, { mode: 0o700 });
    try {
      const memory = join(draft, MEMORY);
      await writeFile(memory, "");
      await chmod(memory, MEMORY_MODE);
      const state = await make(shape, memory, signal);
      await writeFile(join(draft, STATE), state, { mode: 0o600 });
      const manifest: Manifest = {
        ...{ format: FORMAT, shape, madeAtMs: this.#now() },
        ...{ memorySha256: await hashFile(memory), stateSha256: hash("sha256", state) },
      };
      await writeFile(join(draft, MANIFEST), JSON.stringify(manifest), { mode: 0o600 });
      await this.remove(shape);
      await rm(join(dir, name), { recursive: true, force: true });
      await rename(draft, join(dir, name));
      const entry = await openEntry(join(dir, name), manifest, state);
      this.#add(entry);
      await this.#makeRoom();
      return entry.template;
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  /** Removes a template. VMs made from it go on. */
  async remove(shape: Shape): Promise<void> {
    const entry = this.#entries.get(shapeKey(shape));
    if (!entry) return;
    this.#entries.delete(shapeKey(shape));
    this.#options.metrics.template(shape, undefined);
    await rm(entry.dir, { recursive: true, force: true });
  }

  #add(entry: Entry): void {
    const { shape, madeAtMs } = entry.template;
    this.#entries.set(shapeKey(shape), entry);
    this.#options.metrics.template(shape, madeAtMs);
  }

  async #makeRoom(): Promise<void> {
    const byUse = [...this.#entries.values()].sort((a, b) => b.usedAtMs - a.usedAtMs);
    let left = this.#options.budgetMb * MB;
    for (const { template, bytes } of byUse) {
      if (bytes > left) await this.remove(template.shape);
      else left -= bytes;
    }
  }
}

/** Opens a template. Without `made`, checks its content, which a power cut may have damaged. */
async function openEntry(dir: string, manifest: Manifest, made?: Buffer): Promise<Entry> {
  const memory = join(dir, MEMORY);
  const state = made ?? (await readFile(join(dir, STATE)));
  const fingerprint = await fingerprintOf(memory);
  if (!made && hash("sha256", state) !== manifest.stateSha256) throw new Error("its state is damaged");
  if (!made && (await hashFile(memory)) !== manifest.memorySha256) throw new Error("its memory is damaged");
  if ((await fingerprintOf(memory)) !== fingerprint) throw new Error("its memory was written to");
  const { shape, madeAtMs } = manifest;
  const bytes = (await stat(memory)).blocks * BLOCK_BYTES;
  return { template: { shape, memory, state, madeAtMs }, dir, fingerprint, bytes, usedAtMs: madeAtMs };
}

async function fingerprintOf(file: string): Promise<string> {
  const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
  return [ino, size, mtimeNs, ctimeNs].join();
}

async function hashFile(file: string): Promise<string> {
  const sum = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: HASH_CHUNK_BYTES })) sum.update(chunk);
  return sum.digest("hex");
}
