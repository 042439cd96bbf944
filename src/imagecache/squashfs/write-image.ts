import type { Layer, OnRead } from "../flatten/layer.ts";
import type { Plan } from "../flatten/plan.ts";
import type { TarEvent } from "../tar/entry.ts";
import { TarReader } from "../tar/reader.ts";
import { encodeDirectory, encodeEntry, encodeHardLink, paddingOf, TAR_END } from "../tar/writer.ts";

const ZEROS = Buffer.alloc(256 * 1024);

export interface ArchiveSink {
  /** Takes the next bytes. Returns a promise when the caller should wait. */
  write(bytes: Buffer): Promise<void> | undefined;
}

/** Reads the layers for the second time and writes the image as one archive. */
export async function writeImage(
  layers: readonly Layer[],
  plan: Plan,
  sink: ArchiveSink,
  onRead: OnRead,
): Promise<void> {
  for (const path of plan.implicit()) await sink.write(encodeDirectory(path));
  for (const [index, layer] of layers.entries()) {
    plan.beginLayer(index);
    if (!plan.isDone(index)) await copyLayer(index, layer, plan, sink, onRead);
    onRead(0, 1);
  }
  await sink.write(TAR_END);
}

async function copyLayer(
  index: number,
  layer: Layer,
  plan: Plan,
  sink: ArchiveSink,
  onRead: OnRead,
): Promise<void> {
  const reader = new TarReader();
  const copy = new LayerCopy(plan);
  for await (const chunk of layer.read(false)) {
    for (const event of reader.push(chunk)) {
      for (const bytes of copy.on(event)) {
        const wait = sink.write(bytes);
        if (wait !== undefined) await wait;
      }
    }
    onRead(chunk.length, 0);
    // More of the last file's content may follow: only the next entry shows its end.
    if (plan.isDone(index) && !copy.isInFile) break;
  }
  for (const bytes of copy.end()) await sink.write(bytes);
}

/** Copies the entries of the plan, each under its names in the image, and drops the others. */
class LayerCopy {
  readonly #plan: Plan;
  /** The file whose content is being copied. */
  #file: { readonly names: readonly string[]; readonly size: number } | undefined;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  get isInFile(): boolean {
    return this.#file !== undefined;
  }

  /** Takes what was read and yields what is to be written. */
  *on(event: TarEvent): Generator<Buffer, void, void> {
    if (event.kind === "entry") {
      yield* this.end();
      const names = this.#plan.next();
      const [first, ...others] = names;
      if (first === undefined) return;
      yield encodeEntry(event.entry, first);
      if (event.entry.type === "file") this.#file = { names, size: event.entry.size };
      // Other types need no link: a copy is the same to everybody.
      else for (const other of others) yield encodeEntry(event.entry, other);
    } else if (this.#file === undefined) {
      return;
    } else if (event.kind === "data") {
      yield event.bytes;
    } else {
      for (let left = event.length; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
    }
  }

  /** Ends the file. Must be called at the end of the layer. */
  *end(): Generator<Buffer, void, void> {
    if (this.#file === undefined) return;
    const { names, size } = this.#file;
    this.#file = undefined;
    const [first = "", ...others] = names;
    if (paddingOf(size) > 0) yield ZEROS.subarray(0, paddingOf(size));
    for (const other of others) yield encodeHardLink(other, first);
  }
}
