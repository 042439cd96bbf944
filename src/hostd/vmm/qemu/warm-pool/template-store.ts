import { createHash } from "node:crypto";
import { createReadStream, mkdirSync } from "node:fs";
import { chmod, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describeError, logger } from "../../../../lib/runtime/log.ts";
import type { PoolMetrics } from "../../pool-metrics.ts";
import type { Shape } from "../../vmm.ts";
import { shapeKey } from "./pool-policy.ts";
import type { Template } from "./template.ts";

/** What a store of templates works with. */
export interface TemplateStoreOptions {
  /** A directory of its own. */
  readonly dir: string;
  /** Most that the memory files may take on disk together. */
  readonly budgetMb: number;
  /** All that a template of this shape depends on. */
  readonly key: (shape: Shape) => string;
  /** Makes one: writes its memory to the file and returns the rest. */
  readonly make: (shape: Shape, memory: string, signal: AbortSignal) => Promise<Buffer>;
  readonly metrics: PoolMetrics;
  /** Milliseconds since the epoch. Default: the host's clock. */
  readonly now?: () => number;
}

/** Written last: what is without it is not a template. */
const MANIFEST = "template.json";
const MEMORY = "memory";
const STATE = "state";
const FORMAT = 1;
const DRAFT = "draft-";
const HASH_CHUNK = 256 * 1024;
const BLOCK = 512;
const MB = 1024 * 1024;
/** Every VM's user may write: QEMU 7.2 opens the memory of a VM for writing although what is mapped privately never is. */
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
  /** The memory file as it was when its content was last checked; any write to it shows. */
  readonly mark: string;
  readonly bytes: number;
  usedAtMs: number;
}

/** Templates on this host's disk, one per shape. They last until what they depend on changes, or others need the room. */
export class TemplateStore {
  readonly #options: TemplateStoreOptions;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  constructor(options: TemplateStoreOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    mkdirSync(options.dir, { recursive: true, mode: 0o711 });
  }

  /** Takes what an earlier hostd left and can still be used; removes the rest. */
  async load(): Promise<void> {
    const { dir, key } = this.#options;
    for (const name of await readdir(dir)) {
      const folder = join(dir, name);
      try {
        // Ours; whatever it holds besides is checked below.
        const manifest = JSON.parse(await readFile(join(folder, MANIFEST), "utf8")) as Manifest;
        if (manifest.format !== FORMAT || key(manifest.shape) !== name) throw new Error("of another kind");
        this.#enter(await openEntry(folder, manifest));
      } catch (err) {
        logger.info("removing a template", { template: name, why: describeError(err) });
        await rm(folder, { recursive: true, force: true });
      }
    }
    await this.#makeRoom();
  }

  /** Whether there is one; it may still turn out to be damaged. */
  has(shape: Shape): boolean {
    return this.#entries.has(shapeKey(shape));
  }

  /** The template of a shape, if there is one and nobody has written to it. */
  async find(shape: Shape): Promise<Template | undefined> {
    const entry = this.#entries.get(shapeKey(shape));
    if (!entry) return undefined;
    if ((await markOf(join(entry.dir, MEMORY)).catch(() => "")) !== entry.mark) {
      logger.error("a template was changed by somebody and is given up", { shape: shapeKey(shape) });
      await this.drop(shape);
      return undefined;
    }
    entry.usedAtMs = this.#now();
    return entry.template;
  }

  /** Makes a template, in place of the one there may be. */
  async make(shape: Shape, signal: AbortSignal): Promise<Template> {
    const { dir, key, make } = this.#options;
    const name = key(shape);
    const draft = join(dir, DRAFT + name);
    await rm(draft, { recursive: true, force: true });
    mkdirSync(draft, { mode: 0o711 });
    try {
      const memory = join(draft, MEMORY);
      await writeFile(memory, "");
      await chmod(memory, MEMORY_MODE);
      const state = await make(shape, memory, signal);
      await writeFile(join(draft, STATE), state, { mode: 0o600 });
      const manifest: Manifest = {
        ...{ format: FORMAT, shape, madeAtMs: this.#now() },
        ...{ memorySha256: await hashFile(memory), stateSha256: hash(state) },
      };
      await writeFile(join(draft, MANIFEST), JSON.stringify(manifest), { mode: 0o600 });
      await this.drop(shape);
      await rm(join(dir, name), { recursive: true, force: true });
      await rename(draft, join(dir, name));
      const entry = await openEntry(join(dir, name), manifest, state);
      this.#enter(entry);
      await this.#makeRoom();
      return entry.template;
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  /** Removes a template; VMs made from it go on. */
  async drop(shape: Shape): Promise<void> {
    const entry = this.#entries.get(shapeKey(shape));
    if (!entry) return;
    this.#entries.delete(shapeKey(shape));
    this.#options.metrics.template(shape, undefined);
    await rm(entry.dir, { recursive: true, force: true });
  }

  #enter(entry: Entry): void {
    const { shape, madeAtMs } = entry.template;
    this.#entries.set(shapeKey(shape), entry);
    this.#options.metrics.template(shape, madeAtMs);
  }

  async #makeRoom(): Promise<void> {
    const byUse = [...this.#entries.values()].sort((a, b) => b.usedAtMs - a.usedAtMs);
    let left = this.#options.budgetMb * MB;
    for (const { template, bytes } of byUse) {
      if (bytes > left) await this.drop(template.shape);
      else left -= bytes;
    }
  }
}

/** Checks all of it: a machine that lost its power may have kept the manifest and not the rest. */
async function openEntry(dir: string, manifest: Manifest, known?: Buffer): Promise<Entry> {
  const memory = join(dir, MEMORY);
  const state = known ?? (await readFile(join(dir, STATE)));
  const mark = await markOf(memory);
  if (!known && hash(state) !== manifest.stateSha256) throw new Error("its state is damaged");
  if (!known && (await hashFile(memory)) !== manifest.memorySha256) throw new Error("its memory is damaged");
  if ((await markOf(memory)) !== mark) throw new Error("its memory was written to");
  const { shape, madeAtMs } = manifest;
  const bytes = (await stat(memory)).blocks * BLOCK;
  return { template: { shape, memory, state, madeAtMs }, dir, mark, bytes, usedAtMs: madeAtMs };
}

async function markOf(file: string): Promise<string> {
  const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
  return [ino, size, mtimeNs, ctimeNs].join();
}

async function hashFile(file: string): Promise<string> {
  const sum = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: HASH_CHUNK })) sum.update(chunk);
  return sum.digest("hex");
}

function hash(data: Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}
