import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline, type Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { Fault } from "../../lib/faults/fault.ts";
import { type Digest, digestOf } from "../../lib/oci/digest.ts";
import { about, imageFault, type Subject } from "../../lib/oci/faults.ts";
import type { Layer } from "../flatten/layer.ts";
import { ZstdFrames } from "./zstd-frames.ts";

export interface LayerBlob {
  readonly path: string;
  readonly size: number;
  /** Digest of the unpacked layer, from the image's configuration. */
  readonly diffId: Digest;
  readonly subject: Subject;
}

const CHUNK = 128 * 1024;

/**
 * Reads a layer from its file. Detects the compression by the first bytes, as other engines do, because
 * some media types are wrong.
 *
 * Reading throws Fault `LAYER_TRUNCATED`, `LAYER_CORRUPT`, `LAYER_TYPE_UNKNOWN` or
 * `IMAGE_DIGEST_MISMATCH`.
 */
export function layerFile(blob: LayerBlob, signal: AbortSignal): Layer {
  return {
    size: blob.size,
    read: (verify) => (verify ? verified(blob, signal) : unpacked(blob, signal)),
    about: (err) => about(err, blob.subject),
  };
}

async function* verified(blob: LayerBlob, signal: AbortSignal): AsyncGenerator<Buffer> {
  const hash = createHash("sha256");
  for await (const chunk of unpacked(blob, signal)) {
    hash.update(chunk);
    yield chunk;
  }
  const actual = digestOf(hash.digest("hex"));
  if (actual === blob.diffId) return;
  const problem = `it unpacks to ${actual}, but the image's configuration says ${blob.diffId}; build and push the image again`;
  throw imageFault("IMAGE_DIGEST_MISMATCH", blob.subject, problem, { expected: blob.diffId, actual });
}

async function* unpacked(blob: LayerBlob, signal: AbortSignal): AsyncGenerator<Buffer> {
  const codec = codecOf(await firstBytes(blob.path), blob.subject);
  const file = createReadStream(blob.path, { highWaterMark: CHUNK, signal });
  const stream = decompressed(file, codec);
  try {
    // No encoding was set, so its chunks are buffers.
    yield* stream as AsyncIterable<Buffer>;
  } catch (err) {
    signal.throwIfAborted();
    throw asLayerFault(err, blob.subject);
  } finally {
    stream.destroy();
    file.destroy();
  }
}

async function firstBytes(path: string): Promise<Buffer> {
  const file = createReadStream(path, { end: 7 });
  const parts: Buffer[] = [];
  for await (const part of file) parts.push(part);
  return Buffer.concat(parts);
}

type Codec = "gzip" | "zstd" | "none";

function codecOf(start: Buffer, subject: Subject): Codec {
  const magic = start.toString("hex");
  if (magic.startsWith("1f8b")) return "gzip";
  // A frame, or a skippable frame before one.
  if (magic.startsWith("28b52ffd") || /^5.2a4d18/.test(magic)) return "zstd";
  const other = magic.startsWith("fd377a58") ? "xz" : magic.startsWith("425a68") ? "bzip2" : undefined;
  if (other === undefined) return "none";
  const problem = `it is compressed with ${other}; push it compressed with gzip or zstd, or not at all`;
  throw imageFault("LAYER_TYPE_UNKNOWN", subject, problem, { compression: other });
}

/** Errors come out of the iteration of the stream, so the callbacks of the pipelines do nothing. */
function decompressed(file: Readable, codec: Codec): Readable {
  if (codec === "none") return file;
  if (codec === "gzip") return pipeline(file, createGunzip({ chunkSize: CHUNK }), () => undefined);
  return pipeline(file, frames, createZstdDecompress({ chunkSize: CHUNK }), () => undefined);
}

async function* frames(file: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const cutter = new ZstdFrames();
  for await (const chunk of file) yield* cutter.push(chunk);
}

/** Turns zlib's errors into faults. Others are errors of the disk. */
function asLayerFault(err: unknown, subject: Subject): unknown {
  if (err instanceof Fault || !(err instanceof Error) || !("code" in err)) return err;
  const code = String(err.code);
  if (code === "Z_BUF_ERROR" || /unexpected end of file/i.test(err.message)) {
    const problem = "its compressed data ends early; build and push the image again";
    return imageFault("LAYER_TRUNCATED", subject, problem, {}, { cause: err });
  }
  if (!/^(?:Z_|ZSTD_)/.test(code)) return err;
  if (code === "ZSTD_error_frameParameter_windowTooLarge") {
    const problem = "its zstd data need a window of more than 128 MiB; compress it without --long";
    return imageFault("LAYER_TYPE_UNKNOWN", subject, problem, { compression: "zstd --long" }, { cause: err });
  }
  const problem = "its compressed data is damaged; build and push the image again";
  return imageFault("LAYER_CORRUPT", subject, problem, {}, { cause: err });
}
