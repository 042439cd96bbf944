import type { TarEntry } from "../tar/entry.ts";
import { layerFault } from "../tar/layer-fault.ts";
import { TarReader } from "../tar/reader.ts";
import { Flattener } from "./flattener.ts";
import type { Layer, OnRead } from "./layer.ts";
import type { Limits } from "./limits.ts";
import { Plan } from "./plan.ts";

/** Layers read at a time. Unpacking one keeps one processor busy. */
const AT_A_TIME = 2;
/** Entries that a layer may read ahead of its turn: some megabytes. */
const MAX_AHEAD = 20_000;

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
  async #scan(layer: Layer, index: number): Promise<TarEntry[]> {
    const reader = new TarReader();
    let unpacked = 0;
    let ahead: TarEntry[] = [];
    const count = (bytes: number) => {
      unpacked += bytes;
      this.#count(bytes, unpacked, layer.size);
    };
    for await (const chunk of layer.read(true)) {
      if (this.#failure) return [];
      count(chunk.length);
      for (const event of reader.push(chunk)) {
        if (event.kind === "hole") count(event.length);
        else if (event.kind === "entry") ahead.push(event.entry);
      }
      this.#onRead(chunk.length, 0);
      if (ahead.length > MAX_AHEAD) await this.#waitForTurn(index);
      if (this.#turn !== index) continue;
      this.#apply(ahead, index);
      ahead = [];
    }
    reader.finish();
    return ahead;
  }

  #apply(entries: readonly TarEntry[], index: number): void {
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
    const { maxEntries, maxNameBytes } = this.#limits;
    const entries = Math.max(++this.#entries, tree.size);
    if (entries > maxEntries) throw tooLarge("entries", maxEntries, entries);
    const nameBytes = tree.nameBytes + inodes.targetBytes;
    if (nameBytes > maxNameBytes) throw tooLarge("name bytes", maxNameBytes, nameBytes);
  }

  #count(bytes: number, unpacked: number, compressed: number): void {
    this.bytes += bytes;
    const { maxBytes, maxRatio, ratioFreeBytes } = this.#limits;
    if (this.bytes > maxBytes) throw tooLarge("bytes", maxBytes, this.bytes);
    const ratio = Math.round(unpacked / Math.max(1, compressed));
    if (unpacked > ratioFreeBytes && ratio > maxRatio) throw tooLarge("ratio", maxRatio, ratio);
  }
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
