/**
 * Builds one image: reads its layers, which are hostile input, and writes its squashfs. Runs as a process of its own, with limits and
 * confined, so that whatever an image does to it happens to that image alone. Imports nothing but what it needs, to start quickly.
 */
import { createInterface } from "node:readline";
import { Fault } from "../../lib/faults/fault.ts";
import { onAbort } from "../../lib/runtime/abort.ts";
import { Indexer } from "../flatten/indexer.ts";
import { layerFile } from "../squashfs/layer-file.ts";
import { tidyTables } from "../squashfs/squashfs-tables.ts";
import { SquashfsWriter } from "../squashfs/squashfs-writer.ts";
import { writeImage } from "../squashfs/write-image.ts";
import type { Job, Permission, Report } from "./job.ts";

/** How long figures are collected before they are reported. */
const INTERVAL_MS = 100;

const orders = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const end = new AbortController();
// The image cache is gone, or waits no more.
process.stdin.once("close", () => end.abort(new Error("nobody waits for the image")));

async function build(): Promise<void> {
  report({ kind: "started" });
  try {
    const job = await nextOrder<Job>();
    if (job === undefined) return;
    await buildImage(job);
    report({ kind: "done" });
  } catch (err) {
    console.error(err);
    report({ kind: "failed", ...describe(err) });
  }
}

async function buildImage(job: Job): Promise<void> {
  const progress = new Progress();
  const onRead = (bytes: number, layers: number) => progress.add(bytes, layers);
  const layers = job.layers.map((layer, index) => layerFile({ ...layer, index }, end.signal));
  const indexer = new Indexer(layers, job.limits, onRead);
  const plan = await indexer.read();
  progress.flush();
  report({
    kind: "planned",
    bytes: indexer.bytes,
    entries: plan.entries,
    maxRootfsBytes: plan.maxImageBytes,
  });

  const permission = await nextOrder<Permission>();
  if (permission === undefined) return;
  const { maxBytes } = permission;
  const writer = new SquashfsWriter(job.output, { maxBytes, memoryBytes: job.memoryBytes });
  using _ = onAbort(end.signal, () => void writer.abort());
  try {
    await writeImage(layers, plan, writer, onRead);
    await writer.finish();
  } catch (err) {
    await writer.abort();
    throw err;
  }
  await tidyTables(job.output);
  progress.flush();
}

/** Collects figures and reports them ten times a second. */
class Progress {
  #bytes = 0;
  #layers = 0;
  #lastMs = performance.now();

  add(bytes: number, layers: number): void {
    this.#bytes += bytes;
    this.#layers += layers;
    if (performance.now() - this.#lastMs >= INTERVAL_MS) this.flush();
  }

  flush(): void {
    this.#lastMs = performance.now();
    report({ kind: "progress", bytes: this.#bytes, layers: this.#layers });
    this.#bytes = this.#layers = 0;
  }
}

/** Returns what the image cache sends, which is trusted; undefined when it sends no more. */
async function nextOrder<T>(): Promise<T | undefined> {
  const { value, done } = await orders.next();
  return done ? undefined : (JSON.parse(value) as T);
}

function report(message: Report): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function describe(err: unknown) {
  if (err instanceof Fault) return { reason: err.reason, message: err.message, facts: err.facts };
  const message = err instanceof Error ? err.message : String(err);
  // V8 throws it when memory for an array is not to be had.
  const isMemory = err instanceof RangeError && /allocation failed|array buffer/i.test(message);
  const code = err instanceof Error && "code" in err ? String(err.code) : "";
  return { reason: isMemory ? "OUT_OF_MEMORY" : "UNKNOWN", message: message.slice(0, 1000), facts: { code } };
}

// Last, when the classes above are defined.
await build();
process.stdin.destroy();
