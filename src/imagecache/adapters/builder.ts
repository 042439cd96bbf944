import { withSpan } from "../../lib/otel/tracing.ts";
import { Indexer } from "../domain/indexer.ts";
import type { Layer } from "../domain/layer.ts";
import type { Limits } from "../domain/limits.ts";
import type { Plan } from "../domain/plan.ts";
import type { ProgressMeter } from "../domain/progress.ts";
import { writeImage } from "../domain/write-image.ts";
import { fileInfo, syncWhileWritten } from "./disk.ts";
import { span } from "./spans.ts";
import { SquashWriter } from "./squash.ts";
import { tidyTables } from "./squash-tables.ts";

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
