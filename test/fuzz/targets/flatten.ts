import { Indexer } from "../../../src/imagecache/flatten/indexer.ts";
import type { Layer } from "../../../src/imagecache/flatten/layer.ts";
import { DEFAULT_LIMITS } from "../../../src/imagecache/flatten/limits.ts";
import { writeImage } from "../../../src/imagecache/squashfs/write-image.ts";
import { TarReader } from "../../../src/imagecache/tar/reader.ts";
import { expectBlame, hold, type Target } from "../target.ts";
import { sealHeaders, tarTarget } from "./tar.ts";

const LIMITS = { ...DEFAULT_LIMITS, maxBytes: 1024 * 1024 };
/** Ends a layer. */
const MARK = Buffer.from("--next layer--".padEnd(512, "-"));

/** Flattens images of a few layers, and reads what comes out. */
export const flattenTarget: Target = {
  name: "flatten",
  words: [...tarTarget.words, MARK, MARK],
  repair: sealHeaders,
  run: async (input) => {
    const layers = split(input).map((tar) => memoryLayer(tar));
    let archive: Buffer;
    try {
      const plan = await new Indexer(layers, LIMITS).read();
      const parts: Buffer[] = [];
      await writeImage(
        layers,
        plan,
        { write: (bytes) => void parts.push(Buffer.from(bytes)) },
        () => undefined,
      );
      archive = Buffer.concat(parts);
      hold(plan.entries <= LIMITS.maxEntries, "entries are bounded");
      checkArchive(archive, plan.entries);
    } catch (err) {
      expectBlame(err);
    }
  },
};

/** What we write is an archive in which each path comes once, below the root and after its directory. */
function checkArchive(archive: Buffer, entries: number): void {
  const types = new Map<string, string>();
  const reader = new TarReader();
  for (const event of reader.push(archive)) {
    if (event.kind !== "entry") continue;
    const { path, type, link } = event.entry;
    hold(path.startsWith("./"), "paths are below the root");
    const name = path.slice(2).replace(/\/$/, "");
    hold(!name.split("/").includes(".."), "no path leads upwards");
    hold(!types.has(name), "a path comes once");
    hold(type !== "hardlink" || types.get(link.slice(2)) !== undefined, "a hard link follows its file");
    types.set(name, type);
  }
  reader.finish();
  // The root needs no entry.
  hold(types.size === entries || types.size === entries - 1, "all entries are written");
}

function split(input: Buffer): Buffer[] {
  const layers: Buffer[] = [];
  let rest = input;
  for (let at = rest.indexOf(MARK); at >= 0 && layers.length < 5; at = rest.indexOf(MARK)) {
    layers.push(rest.subarray(0, at));
    rest = rest.subarray(at + MARK.length);
  }
  return [...layers, rest];
}

function memoryLayer(tar: Buffer): Layer {
  return {
    size: tar.length,
    async *read() {
      for (let at = 0; at < tar.length; at += 1000) yield tar.subarray(at, at + 1000);
    },
    about: (err) => err,
  };
}
