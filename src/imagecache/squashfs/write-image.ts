import type { Layer, OnRead } from "../flatten/layer.ts";
import type { Plan } from "../flatten/plan.ts";
import { TarReader } from "../tar/reader.ts";
import { TAR_END } from "../tar/writer.ts";
import { Emitter } from "./emitter.ts";

/** Where the image goes. */
export interface ArchiveSink {
  /** Takes the next bytes; returns a promise when the caller should wait for it before going on. */
  write(bytes: Buffer): Promise<void> | undefined;
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
