import { createHash } from "node:crypto";
import { read } from "node:fs";
import { pipeline, Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { Fault } from "../../lib/faults/fault.ts";
import { digestOf } from "../../lib/oci/digest.ts";
import type { Layer } from "../flatten/layer.ts";
import { atLayer, layerFault } from "../tar/layer-fault.ts";
import { ZstdFrames } from "./zstd-frames.ts";

export interface LayerBlob {
  /** Open for reading. Stays open. */
  readonly fd: number;
  readonly size: number;
  /** Digest of the unpacked layer, from the image's configuration. */
  readonly diffId: string;
  /** From 0, lowest first. */
  readonly index: number;
}

const CHUNK = 128 * 1024;
/** As many as are needed to tell compressions apart. */
const MAGIC_BYTES = 8;

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
    about: (err) => atLayer(err, blob.index),
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
  throw layerFault("IMAGE_DIGEST_MISMATCH", problem, { expected: blob.diffId, actual });
}

async function* unpacked(blob: LayerBlob, signal: AbortSignal): AsyncGenerator<Buffer> {
  const codec = codecOf(await readAt(blob.fd, 0, MAGIC_BYTES));
  const packed = readAll(blob.fd, signal);
  const stream = decompressed(packed, codec);
  try {
    yield* stream;
  } catch (err) {
    signal.throwIfAborted();
    throw asLayerFault(err);
  } finally {
    if (stream instanceof Readable) stream.destroy();
  }
}

/** Reads a file from its beginning, whatever has been read before. */
async function* readAll(fd: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  for (let at = 0; ; ) {
    signal.throwIfAborted();
    const bytes = await readAt(fd, at, CHUNK);
    if (bytes.length === 0) return;
    at += bytes.length;
    yield bytes;
  }
}

function readAt(fd: number, position: number, length: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const buffer = Buffer.allocUnsafe(length);
  read(fd, buffer, 0, length, position, (err, bytesRead) => {
    if (err) reject(err);
    else resolve(buffer.subarray(0, bytesRead));
  });
  return promise;
}

type Codec = "gzip" | "zstd" | "none";

function codecOf(start: Buffer): Codec {
  const magic = start.toString("hex");
  if (magic.startsWith("1f8b")) return "gzip";
  // A frame, or a skippable frame before one.
  if (magic.startsWith("28b52ffd") || /^5.2a4d18/.test(magic)) return "zstd";
  const other = magic.startsWith("fd377a58") ? "xz" : magic.startsWith("425a68") ? "bzip2" : undefined;
  if (other === undefined) return "none";
  const problem = `it is compressed with ${other}; push it compressed with gzip or zstd, or not at all`;
  throw layerFault("LAYER_TYPE_UNKNOWN", problem, { compression: other });
}

/** Errors come out of the iteration of the stream, so the callbacks of the pipelines do nothing. */
function decompressed(packed: AsyncGenerator<Buffer>, codec: Codec): AsyncIterable<Buffer> {
  if (codec === "none") return packed;
  if (codec === "gzip") return pipeline(packed, createGunzip({ chunkSize: CHUNK }), () => undefined);
  return pipeline(packed, frames, createZstdDecompress({ chunkSize: CHUNK }), () => undefined);
}

async function* frames(packed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const cutter = new ZstdFrames();
  for await (const chunk of packed) yield* cutter.push(chunk);
}

/** Turns zlib's errors into faults. Others are errors of the disk. */
function asLayerFault(err: unknown): unknown {
  if (err instanceof Fault || !(err instanceof Error) || !("code" in err)) return err;
  const code = String(err.code);
  if (code === "Z_BUF_ERROR" || /unexpected end of file/i.test(err.message)) {
    const problem = "its compressed data ends early; build and push the image again";
    return layerFault("LAYER_TRUNCATED", problem, {}, err);
  }
  if (!/^(?:Z_|ZSTD_)/.test(code)) return err;
  if (code === "ZSTD_error_frameParameter_windowTooLarge") {
    const problem = "its zstd data need a window of more than 128 MiB; compress it without --long";
    return layerFault("LAYER_TYPE_UNKNOWN", problem, { compression: "zstd --long" }, err);
  }
  const problem = "its compressed data is damaged; build and push the image again";
  return layerFault("LAYER_CORRUPT", problem, {}, err);
}
