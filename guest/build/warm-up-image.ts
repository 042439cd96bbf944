import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { COMPILER_FLAGS } from "./init.ts";
import { run } from "./run.ts";

/** The program that a guest runs in a rehearsal. */
export const WARM_UP_SOURCE = join(import.meta.dirname, "../warm-up/program.c");
/** Its path in the image. */
export const WARM_UP_PROGRAM = "/bin/warm-up";

const TIMEOUT_MS = 60_000;
/** What the image cache makes of users' images. */
const COMPRESSION = ["--compressor", "lz4"];
const MAPPED_BYTES = 256 * 1024;
const ACCOUNTS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";

/** Makes the image of rehearsals: what any small image has, and a file of data that takes some decompressing. `draft` is for its parts. */
export async function makeWarmUpImage(output: string, draft: string): Promise<void> {
  const parts = join(draft, "warm-up");
  mkdirSync(parts);
  await run("musl-gcc", [...COMPILER_FLAGS, "-o", join(parts, "program"), WARM_UP_SOURCE], {
    timeoutMs: TIMEOUT_MS,
  });
  writeFileSync(join(parts, "mapped"), mappedData());
  writeFileSync(join(parts, "accounts"), ACCOUNTS);
  writeFileSync(join(parts, "empty"), "");
  const list = [
    ...["bin", "data", "dev", "etc", "proc", "root", "sys"].map((dir) => `dir /${dir} 0755 0 0`),
    `file ${WARM_UP_PROGRAM} 0755 0 0 program`,
    "file /data/mapped 0644 0 0 mapped",
    "file /etc/passwd 0644 0 0 accounts",
    "file /etc/group 0644 0 0 empty",
    "file /etc/hosts 0644 0 0 empty",
  ];
  writeFileSync(join(parts, "list"), `${list.join("\n")}\n`);
  const source = ["--pack-file", join(parts, "list"), "--pack-dir", parts, "--defaults", "mtime=0"];
  await run("gensquashfs", ["--quiet", "--force", ...COMPRESSION, ...source, output], {
    timeoutMs: TIMEOUT_MS,
  });
}

/** Neither all alike nor beyond compression, like programs are; always the same. */
function mappedData(): Buffer {
  const data = Buffer.alloc(MAPPED_BYTES);
  let random = 1;
  for (let at = 0; at < data.length; at++) {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    data[at] = at % 16 < 6 ? random >>> 24 : at % 16;
  }
  return data;
}
