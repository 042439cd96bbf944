import type { TarEntry } from "../../../src/imagecache/tar/entry.ts";
import { TarReader } from "../../../src/imagecache/tar/reader.ts";
import { type TarEntry as WrittenEntry, writeTar } from "../oci/index.ts";

/** An entry with its content. */
interface ReadEntry extends TarEntry {
  readonly content: Buffer;
}

/** Reads an archive that arrives in pieces of a size. */
export function readTar(tar: Buffer, piece = tar.length): ReadEntry[] {
  const reader = new TarReader();
  const found: { entry: TarEntry; parts: Buffer[] }[] = [];
  for (let at = 0; at < tar.length; at += piece) {
    for (const event of reader.push(tar.subarray(at, at + piece))) {
      if (event.kind === "entry") found.push({ entry: event.entry, parts: [] });
      else
        found
          .at(-1)
          ?.parts.push(event.kind === "data" ? Buffer.from(event.bytes) : Buffer.alloc(event.length));
    }
  }
  reader.finish();
  return found.map(({ entry, parts }) => ({ ...entry, content: Buffer.concat(parts) }));
}

/** Writes an archive of one entry and reads it. */
export function readEntry(entry: WrittenEntry): ReadEntry | undefined {
  return readTar(writeTar([entry]))[0];
}
