/**
 * How fast an image is pulled and flattened, and in how much memory. Three layers of this machine's own `/usr` go to a real
 * registry on loopback and come back through the image cache, as a process of its own, into a squashfs; then an image of many
 * small files, and one of a single large one. Beside them the floor: how fast gzip alone unpacks the same layers.
 *
 * `node bench/pull.ts [runs]`
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
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

const MB = 1e6;
const runs = Number(process.argv[2] ?? 5);
const dir = mkdtempSync(join(tmpdir(), "windhover-bench-"));
// Ended by a signal, it leaves neither processes nor files: what is measured then fails, and the clean-up below runs.
const ended = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => ended.abort(new Error(`ended by ${signal}`)));
try {
  await using registry = await RegistryProcess.start();
  await measure(registry, "a distribution", () => ["/usr/lib", "/usr/share", "/usr/bin"].map(packDirectory));
  await measure(registry, "300,000 files", () => [manyFiles(300_000)]);
  await measure(registry, "one file of 1 GB", () => [[{ path: "big", content: randomBytes(1e9) }]]);
} finally {
  rmSync(dir, { recursive: true, force: true });
}

async function measure(registry: RegistryProcess, name: string, layers: () => LayerSpec[]): Promise<void> {
  const image = buildImage({ layers: layers() });
  await pushImage(registry.url, "bench", "latest", image);
  const started = performance.now();
  let unpacked = 0;
  for (const layer of image.layers) unpacked += gunzipSync(image.blobs.get(layer.digest) ?? "").length;
  const floor = unpacked / MB / ((performance.now() - started) / 1000);

  const seconds: number[] = [];
  let peak = 0;
  for (let run = 0; run < runs; run++) {
    ended.signal.throwIfAborted();
    const home = mkdtempSync(join(dir, "run-"));
    await using cache = await ImageCacheProcess.start(home);
    const begin = performance.now();
    const request = { reference: `${registry.host}/bench`, digest: image.digest, owner: "bench" };
    for await (const _ of openStream(cache.client, cache.client.ensureImage, request, {
      timeoutMs: 600_000,
      signal: ended.signal,
    }));
    seconds.push((performance.now() - begin) / 1000);
    peak = Math.max(peak, await cache.peakMemoryMib());
    await cache.stop();
    rmSync(home, { recursive: true, force: true });
  }
  seconds.sort((a, b) => a - b);
  const rate = (s: number) => (unpacked / MB / s).toFixed(0);
  const [p50, p99] = [at(seconds, 0.5), at(seconds, 0.99)];
  console.log(
    `${name}: ${(unpacked / MB).toFixed(0)} MB, p50 ${p50.toFixed(2)} s (${rate(p50)} MB/s), p99 ${p99.toFixed(2)} s (${rate(p99)} MB/s), ` +
      `peak memory ${peak.toFixed(0)} MiB; gzip alone ${floor.toFixed(0)} MB/s`,
  );
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** The first 250 MB of a directory, by name. */
function packDirectory(directory: string): Buffer {
  const found = execFileSync(
    "find",
    [directory, "-xdev", "-type", "f", "-size", "-4M", "-printf", "%s %p\\0"],
    {
      maxBuffer: 1e9,
      encoding: "latin1",
    },
  );
  let left = 250 * MB;
  const names: string[] = [];
  for (const line of found
    .split("\0")
    .filter(Boolean)
    .sort((a, b) => (pathIn(a) < pathIn(b) ? -1 : 1))) {
    left -= Number.parseInt(line, 10);
    if (left > 0) names.push(pathIn(line));
  }
  const options = ["--null", "--no-recursion", "-T", "-", "-cf", "-"];
  const input = Buffer.from(names.join("\0"), "latin1");
  return execFileSync("tar", options, { input, maxBuffer: 1e9, stdio: ["pipe", "pipe", "ignore"] });
}

function pathIn(line: string): string {
  return line.slice(line.indexOf(" ") + 1);
}

function manyFiles(count: number): Buffer {
  const content = Buffer.from("a small file\n");
  const entries = Array.from({ length: count }, (_, i) => ({
    path: `d${i % 1000}/file-number-${i}`,
    content,
  }));
  return writeTar(entries);
}
