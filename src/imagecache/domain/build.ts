import { Emitter } from "./emit.ts";
import { Flattener } from "./flatten.ts";
import { layerFault } from "./layer-fault.ts";
import type { Limits } from "./limits.ts";
import { Plan } from "./plan.ts";
import { TarReader } from "./tar-reader.ts";
import { TAR_END } from "./tar-writer.ts";

/** A layer to be read twice. */
export interface Layer {
  /** Compressed, in bytes. */
  readonly size: number;
  /**
   * Its unpacked bytes.
   *
   * @param verify checks them against the digest in the image's configuration; throws at the end when they differ
   */
  read(verify: boolean): AsyncIterable<Buffer>;
  /** Adds to a fault which layer it is about. */
  about(err: unknown): unknown;
}

/** Where the image goes. */
export interface ArchiveSink {
  /** Takes the next bytes; returns a promise when the caller should wait for it before going on. */
  write(bytes: Buffer): Promise<void> | undefined;
}

/** Hears how far reading has come: bytes unpacked since the last time, and layers done. */
export type OnRead = (bytes: number, layersDone: number) => void;

/** The first reading of an image's layers, one after the other, lowest first. */
export class Indexer {
  /** Bytes read so far, of all layers, unpacked. */
  bytes = 0;
  readonly #flattener = new Flattener();
  readonly #limits: Limits;
  #entries = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Reads one layer to its end. @throws Fault `LAYER_*` or what reading it throws */
  async read(layer: Layer, onRead: OnRead): Promise<void> {
    this.#flattener.beginLayer();
    try {
      await this.#read(layer, onRead);
    } catch (err) {
      throw layer.about(err);
    }
  }

  /** What the layers came to. No more may be read after. */
  plan(): Plan {
    return new Plan(this.#flattener);
  }

  async #read(layer: Layer, onRead: OnRead): Promise<void> {
    const reader = new TarReader();
    const before = this.bytes;
    for await (const chunk of layer.read(true)) {
      this.#count(chunk.length, before, layer.size);
      for (const event of reader.push(chunk)) {
        if (event.kind === "hole") this.#count(event.length, before, layer.size);
        if (event.kind !== "entry") continue;
        this.#flattener.add(event.entry);
        this.#countEntry();
      }
      onRead(chunk.length, 0);
    }
    reader.finish();
    onRead(0, 1);
  }

  #countEntry(): void {
    const { tree, inodes } = this.#flattener;
    const { maxEntries, maxNameBytes } = this.#limits;
    const entries = Math.max(++this.#entries, tree.size);
    if (entries > maxEntries) throw tooLarge("entries", maxEntries, entries);
    const nameBytes = tree.nameBytes + inodes.targetBytes;
    if (nameBytes > maxNameBytes) throw tooLarge("name bytes", maxNameBytes, nameBytes);
  }

  #count(bytes: number, before: number, compressed: number): void {
    this.bytes += bytes;
    const { maxBytes, maxRatio, ratioFreeBytes } = this.#limits;
    if (this.bytes > maxBytes) throw tooLarge("bytes", maxBytes, this.bytes);
    const unpacked = this.bytes - before;
    const ratio = Math.round(unpacked / Math.max(1, compressed));
    if (unpacked > ratioFreeBytes && ratio > maxRatio) throw tooLarge("ratio", maxRatio, ratio);
  }
}

/** The second reading: writes the image as one archive. @throws what reading or writing throws */
export async function writeImage(
  layers: readonly Layer[],
  plan: Plan,
  sink: ArchiveSink,
  onRead: OnRead,
): Promise<void> {
  const emitter = new Emitter(plan);
  const put = (bytes: Buffer) => sink.write(bytes);
  for (const bytes of emitter.begin()) await put(bytes);
  for (const [index, layer] of layers.entries()) {
    plan.beginLayer(index);
    if (!plan.isDone(index)) await copyLayer(index, layer, plan, emitter, put, onRead);
    onRead(0, 1);
  }
  await put(TAR_END);
}

async function copyLayer(
  index: number,
  layer: Layer,
  plan: Plan,
  emitter: Emitter,
  put: ArchiveSink["write"],
  onRead: OnRead,
): Promise<void> {
  const reader = new TarReader();
  for await (const chunk of layer.read(false)) {
    for (const event of reader.push(chunk)) {
      for (const bytes of emitter.on(event)) {
        const wait = put(bytes);
        if (wait) await wait;
      }
    }
    onRead(chunk.length, 0);
    // The content of the last entry needed may still be on its way: only what follows it says that it is over.
    if (plan.isDone(index) && !emitter.isCopying) break;
  }
  for (const bytes of emitter.end()) await put(bytes);
}

function tooLarge(what: "bytes" | "entries" | "name bytes" | "ratio", limit: number, value: number) {
  const problem = {
    bytes: `it unpacks to more than ${limit} bytes, all layers taken together`,
    entries: `it has more than ${limit} entries, all layers taken together`,
    "name bytes": `its names take more than ${limit} bytes, all layers taken together`,
    ratio: `it unpacks to ${value} times its size; more than ${limit} is taken for a bomb`,
  }[what];
  return layerFault("LAYER_TOO_LARGE", problem, { limit: `${limit} ${what}`, value: String(value) });
}
