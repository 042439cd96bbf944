import { Indexer } from "../../../src/imagecache/flatten/indexer.ts";
import type { Layer } from "../../../src/imagecache/flatten/layer.ts";
import { DEFAULT_LIMITS, type Limits } from "../../../src/imagecache/flatten/limits.ts";
import { writeImage } from "../../../src/imagecache/squashfs/write-image.ts";
import { TarReader } from "../../../src/imagecache/tar/reader.ts";
import { type ModelFile, PLAIN_DIRECTORY, type TarEntry, writeTar } from "../oci/index.ts";

/** For tests: flattens layers in memory. @returns the image as a tar archive */
export async function flatten(
  layers: readonly (readonly TarEntry[])[],
  limits: Limits = DEFAULT_LIMITS,
): Promise<Buffer> {
  const sources = layers.map((entries) => memoryLayer(writeTar(entries)));
  const plan = await new Indexer(sources, limits).read();
  const parts: Buffer[] = [];
  const sink = { write: (bytes: Buffer) => void parts.push(Buffer.from(bytes)) };
  await writeImage(sources, plan, sink, () => undefined);
  return Buffer.concat(parts);
}

/** For tests: flattens layers and reads back what came out. Hard links of one file are one object. */
export async function tree(layers: readonly (readonly TarEntry[])[]): Promise<Map<string, ModelFile>> {
  return readBack(await flatten(layers));
}

/** For tests: a layer out of memory, in chunks of an odd size. */
export function memoryLayer(tar: Buffer, size = tar.length, chunk = 1000): Layer {
  return {
    size,
    async *read() {
      for (let at = 0; at < tar.length; at += chunk) yield tar.subarray(at, at + chunk);
    },
    about: (err) => err,
  };
}

/** For tests: reads an archive into a map from path to file. Fails when a path comes twice. */
function readBack(tar: Buffer): Map<string, ModelFile> {
  const files = new Map<string, ModelFile>();
  let path = "";
  const change = (more: Partial<ModelFile>) =>
    files.set(path, { ...(files.get(path) ?? PLAIN_DIRECTORY), ...more });
  const reader = new TarReader();
  for (const event of reader.push(tar)) {
    if (event.kind === "data") change({ content: (files.get(path)?.content ?? "") + event.bytes.toString() });
    else if (event.kind === "hole")
      change({ content: (files.get(path)?.content ?? "") + "\0".repeat(event.length) });
    else {
      const { entry } = event;
      path = entry.path.replace(/^\.\//, "").replace(/\/$/, "");
      if (files.has(path)) throw new Error(`${path} comes twice`);
      const linked = entry.type === "hardlink" ? files.get(entry.link.replace(/^\.\//, "")) : undefined;
      const { type, mode, uid, link } = entry;
      files.set(path, linked ?? { type, mode, uid, content: "", link });
    }
  }
  reader.finish();
  return files;
}
