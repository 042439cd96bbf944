import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../tools/lib/run.ts";
import { compile } from "./init.ts";

/** The program that a guest runs in a warm-up. */
export const WARM_UP_SOURCE = join(import.meta.dirname, "../warm-up/program.c");
/** Its path in the image; hostd runs it by its name. */
const PROGRAM = "/bin/warm-up";
const TIMEOUT_MS = 60_000;
/** As the image cache compresses images. */
const COMPRESSION = ["--compressor", "lz4"];
const MAPPED_BYTES = 256 * 1024;
const ACCOUNTS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";

/** Makes the image of warm-ups: accounts, folders, the program, and a file to decompress. */
export async function makeWarmUpImage(output: string, draft: string): Promise<void> {
  const parts = join(draft, "warm-up");
  mkdirSync(parts);
  await compile(join(parts, "program"), [WARM_UP_SOURCE]);
  writeFileSync(join(parts, "mapped"), mappedData());
  writeFileSync(join(parts, "accounts"), ACCOUNTS);
  writeFileSync(join(parts, "empty"), "");
  const list = [
    ...["bin", "data", "dev", "etc", "proc", "root", "sys"].map((dir) => `dir /${dir} 0755 0 0`),
    `file ${PROGRAM} 0755 0 0 program`,
    "file /data/mapped 0644 0 0 mapped",
    "file /etc/passwd 0644 0 0 accounts",
    "file /etc/group 0644 0 0 empty",
    "file /etc/hosts 0644 0 0 empty",
  ];
  writeFileSync(join(parts, "list"), `${list.join("\n")}\n`);
  const source = ["--pack-file", join(parts, "list"), "--pack-dir", parts, "--defaults", "mtime=0"];
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  await run("gensquashfs", ["--quiet", "--force", ...COMPRESSION, ...source, output], { signal });
}

/** Makes data that compresses as programs do; always the same. */
function mappedData(): Buffer {
  const data = Buffer.alloc(MAPPED_BYTES);
  let random = 1;
  for (let at = 0; at < data.length; at++) {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    data[at] = at % 16 < 6 ? random >>> 24 : at % 16;
  }
  return data;
}
