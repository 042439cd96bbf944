import { withSpan } from "../../lib/otel/tracing.ts";
import { fileInfo, syncWhileWritten } from "../disk/files.ts";
import { Indexer } from "../flatten/indexer.ts";
import type { Layer } from "../flatten/layer.ts";
import type { Limits } from "../flatten/limits.ts";
import type { Plan } from "../flatten/plan.ts";
import type { ProgressMeter } from "../pulls/progress.ts";
import { span } from "../spans.ts";
import { tidyTables } from "./squashfs-tables.ts";
import { SquashWriter } from "./squashfs-writer.ts";
import { writeImage } from "./write-image.ts";

/** Reads the layers for the first time. @returns what they come to, and how many bytes they unpack to */
export function flatten(layers: readonly Layer[], limits: Limits, meter: ProgressMeter) {
  return withSpan("imagecache.flatten", { [span.layers]: layers.length }, async (active) => {
    meter.begin("flattening", 0, layers.length);
    const indexer = new Indexer(layers, limits, (bytes, done) => meter.advance(bytes, done));
    const plan = await indexer.read();
    active.setAttributes({ [span.uncompressedBytes]: indexer.bytes, [span.entries]: plan.entries });
    return { plan, bytes: indexer.bytes };
  });
}

/** Reads the layers for the second time, and writes the image. @param dir the cache's directory, for faults */
export function squash(
  layers: readonly Layer[],
  plan: Plan,
  uncompressedBytes: number,
  path: string,
  dir: string,
  meter: ProgressMeter,
): Promise<void> {
  return withSpan("imagecache.squash", { [span.uncompressedBytes]: uncompressedBytes }, async (active) => {
    meter.begin("squashing", uncompressedBytes, layers.length);
    const writer = await SquashWriter.start(path, dir);
    const written = new AbortController();
    const syncing = syncWhileWritten(path, written.signal);
    try {
      await writeImage(layers, plan, writer, (bytes, done) => meter.advance(bytes, done));
      await writer.finish();
    } catch (err) {
      await writer.abort();
      throw err;
    } finally {
      written.abort();
      await syncing;
    }
    await tidyTables(path);
    active.setAttribute(span.rootfsBytes, (await fileInfo(path))?.length ?? 0);
  });
}
