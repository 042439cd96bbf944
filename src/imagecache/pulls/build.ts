import { withSpan } from "../../lib/otel/tracing.ts";
import { fileInfo, syncWhileWritten } from "../disk/files.ts";
import { Indexer } from "../flatten/indexer.ts";
import type { Layer } from "../flatten/layer.ts";
import type { Limits } from "../flatten/limits.ts";
import type { Plan } from "../flatten/plan.ts";
import { tidyTables } from "../squashfs/squashfs-tables.ts";
import { SquashfsWriter } from "../squashfs/squashfs-writer.ts";
import { writeImage } from "../squashfs/write-image.ts";
import type { ProgressMeter } from "./progress.ts";

const UNCOMPRESSED_BYTES = "windhover.bytes.uncompressed";

/** Reads the layers to plan the image. Returns the plan and the unpacked bytes of all layers. */
export function flatten(layers: readonly Layer[], limits: Limits, meter: ProgressMeter) {
  const attributes = { "windhover.image.layers": layers.length };
  return withSpan("imagecache.flatten", attributes, async (span) => {
    meter.begin("flattening", 0, layers.length);
    const indexer = new Indexer(layers, limits, (bytes, done) => meter.advance(bytes, done));
    const plan = await indexer.read();
    const { bytes } = indexer;
    span.setAttributes({ [UNCOMPRESSED_BYTES]: bytes, "windhover.image.entries": plan.entries });
    return { plan, bytes };
  });
}

/** Reads the layers again and writes the squashfs. @param dir of the cache, for faults */
export function squash(
  layers: readonly Layer[],
  plan: Plan,
  uncompressedBytes: number,
  path: string,
  dir: string,
  meter: ProgressMeter,
): Promise<void> {
  return withSpan("imagecache.squash", { [UNCOMPRESSED_BYTES]: uncompressedBytes }, async (span) => {
    meter.begin("squashing", uncompressedBytes, layers.length);
    const writer = await SquashfsWriter.start(path, dir);
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
    span.setAttribute("windhover.bytes.rootfs", (await fileInfo(path))?.length ?? 0);
  });
}
