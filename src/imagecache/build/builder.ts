import { chmod, type FileHandle, open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../lib/faults/fault.ts";
import { type Digest, hexOf } from "../../lib/oci/digest.ts";
import { about, type Subject } from "../../lib/oci/faults.ts";
import type { ResolvedImage } from "../../lib/oci/registry.ts";
import { counter } from "../../lib/otel/metrics.ts";
import { withSpan } from "../../lib/otel/tracing.ts";
import { abortable } from "../../lib/runtime/abort.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { CacheDir } from "../disk/cache-dir.ts";
import type { DiskBudget } from "../disk/disk-budget.ts";
import { diskFull, fileInfo, hashFile, syncFile, syncWhileWritten } from "../disk/files.ts";
import type { Image } from "../disk/image.ts";
import type { ImageStore } from "../disk/image-store.ts";
import type { Limits } from "../flatten/limits.ts";
import { BuildProcess } from "./build-process.ts";
import { FailedBuilds } from "./failed-builds.ts";
import { isOfImage } from "./failure.ts";
import type { Planned } from "./job.ts";
import type { Sandbox } from "./sandbox.ts";

export interface BuilderParts {
  readonly dir: CacheDir;
  readonly budget: DiskBudget;
  readonly images: ImageStore;
  readonly limits: Limits;
  readonly sandbox: Sandbox;
  /** Of each of the two processes of a build. */
  readonly memoryBytes: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** An image whose layers are on disk. */
export interface BuildOrder {
  readonly resolved: ResolvedImage;
  /** As requested; of the manifest, or of an index. */
  readonly digest: Digest;
  readonly compressedBytes: number;
  /** Of its layers. */
  readonly samples: NonNullable<Image["samples"]>;
}

/** Counts the progress of a build. */
export interface BuildMeter {
  begin(phase: "flattening" | "squashing", bytesTotal: number, layersTotal: number): void;
  advance(bytes: number, layers: number): void;
}

const UNCOMPRESSED_BYTES = "windhover.bytes.uncompressed";
/** Free bytes of a full disk: fewer than tar2sqfs writes at a time. */
const FULL_BYTES = 1024 * 1024;

const refusals = counter(
  "windhover_image_build_failures_total",
  "Builds that failed because of their image, by reason.",
  ["reason"],
);
refusals.inc({ reason: "IMAGE_BUILD_FAILED" }, 0);

/** Builds images, each in a process of its own. */
export class Builder {
  readonly #parts: BuilderParts;
  readonly #failed: FailedBuilds;
  /** Ends of the builds under way. */
  readonly #building = new Map<Digest, Promise<void>>();
  #sequence = 0;

  constructor(parts: BuilderParts) {
    this.#parts = parts;
    this.#failed = new FailedBuilds(parts.clock);
  }

  /** Throws the fault of an image that has failed to build a short time ago. */
  refuseFailed(reference: string, digest: Digest): void {
    const fault = this.#failed.get(digest);
    if (fault !== undefined) throw about(fault, { reference, digest, ...layerOf(fault) });
  }

  /**
   * Builds an image, unless another call has built it meanwhile.
   *
   * @throws Fault as the proto documents for EnsureImage
   */
  async build(order: BuildOrder, meter: BuildMeter, signal: AbortSignal): Promise<Image> {
    const { digest } = order;
    const { images } = this.#parts;
    for (let other = this.#building.get(digest); other; other = this.#building.get(digest))
      await abortable(other, signal);
    const image = (await images.isIntact(digest)) ? images.get(digest) : undefined;
    if (image !== undefined) return image;
    this.refuseFailed(order.resolved.reference, digest);
    const building = this.#buildFile(order, meter, signal);
    const ended = building.then(
      () => undefined,
      () => undefined,
    );
    this.#building.set(digest, ended);
    return await building.finally(() => this.#building.delete(digest));
  }

  async #buildFile(order: BuildOrder, meter: BuildMeter, signal: AbortSignal): Promise<Image> {
    const temporary = join(this.#parts.dir.tmp, `${hexOf(order.digest)}.${++this.#sequence}.squashfs`);
    // Keeps the disk full when tar2sqfs fails and removes its file, so that the cause can be found.
    let held: FileHandle | undefined;
    try {
      held = await open(temporary, "wx", 0o644);
      return await this.#build(order, temporary, meter, signal);
    } catch (err) {
      throw await this.#faultOf(err, order);
    } finally {
      await held?.close();
      await rm(temporary, { force: true });
    }
  }

  async #build(order: BuildOrder, temporary: string, meter: BuildMeter, signal: AbortSignal): Promise<Image> {
    const { dir, images, limits, sandbox, memoryBytes, timeoutMs, budget, clock } = this.#parts;
    const { digest, compressedBytes, samples } = order;
    const { reference, config, manifest } = order.resolved;
    const layers = manifest.layers.map((layer, index) => {
      return {
        path: dir.blob(layer.digest),
        size: layer.size,
        diffId: config.diffIds[index] ?? layer.digest,
      };
    });
    const request = { output: temporary, layers, limits, memoryBytes, timeoutMs };
    const onProgress = (bytes: number, done: number) => meter.advance(bytes, done);
    await using process = await BuildProcess.start(request, sandbox, onProgress, signal);
    const planned = await flatten(process, layers.length, meter);
    checkSize(planned, budget.budgetBytes);
    using _ = await budget.reserve(temporary, planned.maxRootfsBytes);
    const rootfsBytes = await squash(process, temporary, planned, layers.length, meter);
    await chmod(temporary, 0o644);
    const [rootfsDigest] = await Promise.all([hashFile(temporary, signal), syncFile(temporary)]);
    const { entries, bytes: uncompressedBytes } = planned;
    const sizes = { compressedBytes, uncompressedBytes, rootfsBytes, entries, layers: layers.length };
    const image = { digest, reference, config: config.run, sizes, samples, createdMs: clock.now() };
    return await images.put(image, rootfsDigest, temporary);
  }

  async #faultOf(err: unknown, order: BuildOrder): Promise<unknown> {
    const { resolved, digest } = order;
    if (!isOfImage(err)) return await this.#asDiskFull(err);
    refusals.inc({ reason: err.reason });
    const layerIndex = Number(err.facts["layer_index"] ?? Number.NaN);
    const layer = resolved.manifest.layers[layerIndex]?.digest;
    const facts = layer === undefined ? err.facts : { ...err.facts, layer };
    const fault = new Fault(err.code, err.reason, err.message, facts, { cause: err.cause });
    logger.warn("an image cannot be built", { digest, reference: resolved.reference, error: fault });
    for (const known of new Set([digest, resolved.digest])) this.#failed.add(known, fault);
    return about(fault, { reference: resolved.reference, digest, ...layerOf(fault) });
  }

  /** tar2sqfs reports a full disk as an "I/O error", as it does other failures. */
  async #asDiskFull(err: unknown): Promise<unknown> {
    const { root } = this.#parts.dir;
    if (!(err instanceof Fault) || err.reason !== "SQUASH_FAILED") return err;
    const { bavail, bsize } = await statfs(root);
    const isFull = bavail * bsize < FULL_BYTES && /I\/O error/.test(String(err.cause));
    return isFull ? diskFull(root, "the file system is full", {}, err.cause) : err;
  }
}

/** @throws Fault `IMAGE_TOO_LARGE` when the image would not fit if it were the only one */
function checkSize({ maxRootfsBytes }: Planned, budgetBytes: number): void {
  if (maxRootfsBytes <= budgetBytes) return;
  const problem = `its root file system may take ${maxRootfsBytes} bytes, and this host's images may take ${budgetBytes} together; make it smaller, or raise IMAGECACHE_BUDGET_MB`;
  const facts = { limit: `${budgetBytes} bytes of disk`, value: String(maxRootfsBytes) };
  throw new Fault("FAILED_PRECONDITION", "IMAGE_TOO_LARGE", problem, facts);
}

/** Waits until the layers are read. */
function flatten(process: BuildProcess, layers: number, meter: BuildMeter): Promise<Planned> {
  return withSpan("imagecache.flatten", { "windhover.image.layers": layers }, async (span) => {
    meter.begin("flattening", 0, layers);
    const planned = await process.planned();
    span.setAttributes({ [UNCOMPRESSED_BYTES]: planned.bytes, "windhover.image.entries": planned.entries });
    return planned;
  });
}

/** Lets the process write the squashfs. @returns its size */
function squash(
  process: BuildProcess,
  path: string,
  { bytes, maxRootfsBytes: maxBytes }: Planned,
  layers: number,
  meter: BuildMeter,
): Promise<number> {
  return withSpan("imagecache.squash", { [UNCOMPRESSED_BYTES]: bytes }, async (span) => {
    meter.begin("squashing", bytes, layers);
    const written = new AbortController();
    const syncing = syncWhileWritten(path, written.signal);
    try {
      await process.write({ maxBytes });
    } finally {
      written.abort();
      await syncing;
    }
    const rootfsBytes = (await fileInfo(path))?.length ?? 0;
    span.setAttribute("windhover.bytes.rootfs", rootfsBytes);
    return rootfsBytes;
  });
}

function layerOf({ facts }: Fault): Partial<Subject> {
  const { layer, layer_index: index } = facts;
  return layer === undefined ? {} : { layer, layerIndex: Number(index) };
}
