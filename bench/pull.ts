/**
 * Measures how fast an image is pulled and flattened, and in how much memory: three layers of this
 * machine's own `/usr`, 300,000 small files, and one large file. Each comes from a real registry
 * through the image cache, a process of its own, into a squashfs. Beside them, how fast gzip alone
 * unpacks the same layers.
 *
 * `npm run bench -- pull [--runs N]`
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { openStream } from "../src/lib/grpc/client.ts";
import {
  buildImage,
  ImageCacheProcess,
  type LayerSpec,
  pushImage,
  RegistryProcess,
  writeTar,
} from "../test/support/oci/index.ts";
import { benchmark, type Run, timed } from "./lib/benchmark.ts";

const MB = 1e6;
const LAYER_BYTES = 250 * MB;
const PULL_TIMEOUT_MS = 600_000;

await benchmark(
  { name: "pull", title: "Images pulled from a registry and flattened", defaultRuns: 5 },
  async (run) => {
    await using registry = await RegistryProcess.start();
    await measure(run, registry, "distribution", () =>
      ["/usr/lib", "/usr/share", "/usr/bin"].map(packDirectory),
    );
    await measure(run, registry, "small_files", () => [manyFiles(300_000)]);
    await measure(run, registry, "large_file", () => [[{ path: "big", content: randomBytes(1e9) }]]);
  },
);

async function measure(
  run: Run,
  registry: RegistryProcess,
  name: string,
  layers: () => LayerSpec[],
): Promise<void> {
  const { report, signal } = run;
  const image = buildImage({ layers: layers() });
  await pushImage(registry.url, "bench", "latest", image);
  let unpacked = 0;
  const gzipMs = await timed(async () => {
    for (const { digest } of image.layers) unpacked += gunzipSync(image.blobs.get(digest) ?? "").length;
  });
  const rate = (ms: number) => unpacked / MB / (ms / 1_000);
  const what = { reference: `${registry.host}/bench`, digest: image.digest };
  const request = { ...what, owner: "bench", org: "bench", credentials: undefined };
  const once = async () => {
    const home = mkdtempSync(join(run.folder, "run-"));
    await using cache = await ImageCacheProcess.start(home);
    const ms = await timed(async () => {
      const { client } = cache;
      const options = { timeoutMs: PULL_TIMEOUT_MS, signal };
      for await (const _ of openStream(client, client.ensureImage, request, options));
    });
    const memory = await cache.peakMemoryMib();
    await cache.stop();
    rmSync(home, { recursive: true, force: true });
    return { ms, memory };
  };
  const pulls = await run.repeat(name, run.runs, once, 0);
  const times = pulls.map(({ ms }) => ms);
  report.add(name, "ms", times);
  report.add(`${name}_rate`, "MB/s", times.map(rate));
  report.add(`${name}_rate_of_gzip`, "MB/s", [rate(gzipMs)]);
  const memory = pulls.map((pull) => pull.memory);
  report.add(`${name}_peak_memory`, "MiB", memory);
  report.note(`${name}: ${(unpacked / MB).toFixed(0)} MB unpacked`);
}

/** Packs the first files of a directory, by name. */
function packDirectory(directory: string): Buffer {
  const maxBuffer = 1e9;
  const find = ["-xdev", "-type", "f", "-size", "-4M", "-printf", "%p\\t%s\\0"];
  const found = execFileSync("find", [directory, ...find], { maxBuffer, encoding: "latin1" });
  let left = LAYER_BYTES;
  const names = found
    .split("\0")
    .filter(Boolean)
    .sort()
    .flatMap((line) => {
      const [name = "", bytes] = line.split("\t");
      left -= Number(bytes);
      return left > 0 ? [name] : [];
    });
  const options = ["--null", "--no-recursion", "-T", "-", "-cf", "-"];
  const input = Buffer.from(names.join("\0"), "latin1");
  return execFileSync("tar", options, { input, maxBuffer, stdio: ["pipe", "pipe", "ignore"] });
}

function manyFiles(count: number): Buffer {
  const content = Buffer.from("a small file\n");
  return writeTar(
    Array.from({ length: count }, (_, i) => ({ path: `d${i % 1000}/file-number-${i}`, content })),
  );
}
