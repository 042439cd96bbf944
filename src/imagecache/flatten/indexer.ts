import type { TarEntry } from "../tar/entry.ts";
import { layerFault } from "../tar/layer-fault.ts";
import { TarReader } from "../tar/reader.ts";
import { Flattener } from "./flattener.ts";
import type { IndexedEntry } from "./inodes.ts";
import type { Layer, OnRead } from "./layer.ts";
import type { Limits } from "./limits.ts";
import { Plan } from "./plan.ts";

/** Layers read at a time. Unpacking one keeps one processor busy. */
const AT_A_TIME = 2;
/** Entries, and bytes of their names, that a layer may read ahead of its turn. */
const MAX_AHEAD = 20_000;
const MAX_AHEAD_BYTES = 8 * 1024 * 1024;

/**
 * Reads an image's layers for the first time, to plan the image. Layers are unpacked in parallel; their
 * entries are applied in order, lowest layer first.
 */
export class Indexer {
  bytes = 0;
  readonly #layers: readonly Layer[];
  readonly #limits: Limits;
  readonly #onRead: OnRead;
  readonly #flattener = new Flattener();
  /** The layer whose entries are applied now, and the layers that wait for their turn. */
  #turn = 0;
  readonly #waiting: (() => void)[] = [];
  #entries = 0;
  #headerBytes = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(layers: readonly Layer[], limits: Limits, onRead: OnRead = () => undefined) {
    this.#layers = layers;
    this.#limits = limits;
    this.#onRead = onRead;
  }

  /** Reads all layers. Must be called once. @throws Fault `LAYER_*` or what reading a layer throws */
  async read(): Promise<Plan> {
    await Promise.all(this.#layers.map((layer, index) => this.#readLayer(layer, index)));
    if (this.#failure) throw this.#failure.error;
    return new Plan(this.#flattener);
  }

  /** Never throws, because all layers must have closed their files before `read` throws. */
  async #readLayer(layer: Layer, index: number): Promise<void> {
    try {
      await this.#waitForTurn(index - AT_A_TIME + 1);
      if (this.#failure) return;
      const ahead = await this.#scan(layer, index);
      await this.#waitForTurn(index);
      this.#apply(ahead, index);
      this.#onRead(0, 1);
      this.#turn++;
    } catch (err) {
      this.#failure ??= { error: layer.about(err) };
    }
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Reads a layer to its end. @returns entries that are not applied yet */
  async #scan(layer: Layer, index: number): Promise<IndexedEntry[]> {
    const reader = new TarReader();
    let ahead: IndexedEntry[] = [];
    let aheadBytes = 0;
    let headerBytes = 0;
    for await (const chunk of layer.read(true)) {
      if (this.#failure) return [];
      this.#countBytes(chunk.length);
      for (const event of reader.push(chunk)) {
        if (event.kind === "hole") this.#countBytes(event.length);
        if (event.kind !== "entry") continue;
        ahead.push(indexed(event.entry));
        aheadBytes += event.entry.path.length + event.entry.link.length;
      }
      this.#countHeaderBytes(reader.specialBytes - headerBytes);
      headerBytes = reader.specialBytes;
      this.#onRead(chunk.length, 0);
      if (ahead.length > MAX_AHEAD || aheadBytes > MAX_AHEAD_BYTES) await this.#waitForTurn(index);
      if (this.#turn !== index) continue;
      this.#apply(ahead, index);
      ahead = [];
      aheadBytes = 0;
    }
    reader.finish();
    return ahead;
  }

  #apply(entries: readonly IndexedEntry[], index: number): void {
    if (this.#failure) return;
    this.#flattener.enterLayer(index);
    for (const entry of entries) {
      this.#flattener.add(entry);
      this.#countEntry();
    }
  }

  /** Waits for the turn of a layer, or for a failure. */
  async #waitForTurn(index: number): Promise<void> {
    while (this.#turn < index && !this.#failure) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      await promise;
    }
  }

  #countEntry(): void {
    const { tree, inodes } = this.#flattener;
    const { maxEntries, maxDirectoryEntries, maxNameBytes, maxPathBytes, maxAttributeBytes } = this.#limits;
    check("entries", maxEntries, Math.max(++this.#entries, tree.size));
    check("entries of a directory", maxDirectoryEntries, tree.largestDirectory);
    check("name bytes", maxNameBytes, tree.nameBytes + inodes.targetBytes);
    check("path bytes", maxPathBytes, tree.pathBytes);
    check("attribute bytes", maxAttributeBytes, inodes.attributeBytes);
  }

  #countBytes(bytes: number): void {
    this.bytes += bytes;
    check("bytes", this.#limits.maxBytes, this.bytes);
  }

  #countHeaderBytes(bytes: number): void {
    this.#headerBytes += bytes;
    check("header bytes", this.#limits.maxHeaderBytes, this.#headerBytes);
  }
}

/** Keeps what planning needs: an extended header can have a thousand times as much. */
function indexed({ path, type, link, size, xattrs }: TarEntry): IndexedEntry {
  return { path, type, link, size, xattrBytes: xattrs.bytes };
}

const PROBLEMS = {
  bytes: (limit: number) =>
    `it unpacks to more than ${limit} bytes, all layers taken together; make it smaller, or raise IMAGECACHE_MAX_IMAGE_MB`,
  entries: (limit: number) => `it has more than ${limit} entries, all layers taken together`,
  "entries of a directory": (limit: number) => `one of its directories has more than ${limit} entries`,
  "name bytes": (limit: number) => `its names take more than ${limit} bytes, all layers taken together`,
  "path bytes": (limit: number) => `its paths take more than ${limit} bytes, all layers taken together`,
  "attribute bytes": (limit: number) =>
    `its extended attributes and symlinks take more than ${limit} bytes, all layers taken together`,
  "header bytes": (limit: number) =>
    `its extended headers take more than ${limit} bytes, all layers taken together`,
};

/** @throws Fault `LAYER_TOO_LARGE` when `value` is above `limit` */
function check(what: keyof typeof PROBLEMS, limit: number, value: number): void {
  if (value <= limit) return;
  const facts = { limit: `${limit} ${what}`, value: String(value) };
  throw layerFault("LAYER_TOO_LARGE", PROBLEMS[what](limit), facts);
}
