import { createHash } from "node:crypto";
import { closeSync, ftruncateSync, openSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { layerFile } from "../../../src/imagecache/squashfs/layer-file.ts";
import { expectBlame, hold, type Target } from "../target.ts";

const NEVER = new AbortController().signal;
let fd: number | undefined;

/** Reads layers of all compressions, as they lie on disk. */
export const layerTarget: Target = {
  name: "layer",
  words: [
    ...[
      gzipSync("a"),
      gzipSync(Buffer.alloc(1000)),
      zstdCompressSync("a"),
      zstdCompressSync(Buffer.alloc(1000)),
    ],
    ...[
      Buffer.from("1f8b08", "hex"),
      Buffer.from("28b52ffd", "hex"),
      Buffer.from("502a4d1801000000ff", "hex"),
    ],
    ...[Buffer.from("fd377a58", "hex"), "BZh9"],
  ],
  run: async (input) => {
    fd ??= nameless();
    ftruncateSync(fd, 0);
    writeSync(fd, input, 0, input.length, 0);
    try {
      const first = await unpack(fd, input.length);
      const second = await unpack(fd, input.length);
      hold(first === second, "a layer is read the same again");
    } catch (err) {
      expectBlame(err);
    }
  },
};

/** @returns the digest of what it unpacks to */
async function unpack(file: number, size: number): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of layerFile({ fd: file, size, diffId: "", index: 0 }, NEVER).read(false))
    hash.update(chunk);
  return hash.digest("hex");
}

/** Opens a file that goes with this process. */
function nameless(): number {
  const path = join(tmpdir(), `wh-fuzz-${process.pid}`);
  const opened = openSync(path, "w+");
  unlinkSync(path);
  process.once("exit", () => closeSync(opened));
  return opened;
}
