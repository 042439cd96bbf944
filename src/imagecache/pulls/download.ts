import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { type Digest, digestOf } from "../../lib/oci/digest.ts";
import { imageFault, type Subject } from "../../lib/oci/faults.ts";
import { ConnectionError } from "../../lib/oci/http/client.ts";
import type { Descriptor } from "../../lib/oci/image/manifest.ts";
import type { ImageSource } from "../../lib/oci/image-source.ts";
import type { RegistryClient } from "../../lib/oci/registry.ts";
import { unreachable } from "../../lib/oci/request-faults.ts";
import { pause, type RetryPolicy } from "../../lib/oci/retry.ts";
import { counter } from "../../lib/otel/metrics.ts";
import { readChunks } from "../disk/files.ts";

const receivedBytes = counter(
  "windhover_image_pull_bytes_total",
  "Bytes of layers received from registries.",
);

export interface LayerRequest {
  readonly from: ImageSource;
  readonly blob: Descriptor;
  /** For faults. */
  readonly subject: Subject;
  /** Makes room on disk for bytes that are about to be written. */
  readonly takeRoom: (bytes: number) => Promise<void>;
}

export interface Order extends LayerRequest {
  /** File of an unfinished download, which resumes there. */
  readonly partial: string;
  /** File of the complete and verified layer. */
  readonly path: string;
}

/** Hears how a download goes. */
export interface DownloadListener {
  /** Bytes that were not there before. */
  readonly onBytes: (bytes: number) => void;
  /** Bytes that came over the network. */
  readonly onReceived: (bytes: number) => void;
  /** What is on disk has been read, and the rest is requested. */
  readonly onRequest: () => void;
}

/** Connections in a row that bring no new byte, beyond what each request retries. */
const MAX_FRUITLESS = 4;

/**
 * Downloads a layer and verifies it. Resumes after a broken connection, and after a crash, when it hashes
 * what is on disk again.
 *
 * @returns bytes that came over the network
 * @throws Fault `IMAGE_DIGEST_MISMATCH`, `LAYER_TRUNCATED`, `REGISTRY_UNAVAILABLE` or what opening a blob throws
 */
export async function download(
  client: RegistryClient,
  order: Order,
  listener: DownloadListener,
  signal: AbortSignal,
  retry: RetryPolicy,
): Promise<number> {
  const first = await attempt(client, order, listener, signal, retry);
  if (first.verified) return first.received;
  await rm(order.partial, { force: true });
  // After a crash the file may have zeros instead of data, so it is downloaded once from the start.
  const again = { ...listener, onBytes: () => undefined };
  const second = first.resumed ? await attempt(client, order, again, signal, retry) : first;
  if (second.verified) return first.received + second.received;
  await rm(order.partial, { force: true });
  const problem = `what the registry sends has the digest ${second.digest}; the registry or something in between changed it; push the image again`;
  throw imageFault("IMAGE_DIGEST_MISMATCH", order.subject, problem, {
    expected: order.blob.digest,
    actual: second.digest,
  });
}

async function attempt(
  client: RegistryClient,
  order: Order,
  listener: DownloadListener,
  signal: AbortSignal,
  retry: RetryPolicy,
) {
  const handle = await open(order.partial, "a+", 0o644);
  try {
    const file = new PartialFile(handle, order, listener);
    await file.load();
    listener.onRequest();
    const resumed = await fill(client, file, order, signal, retry);
    const digest = file.digest();
    const verified = digest === order.blob.digest;
    // Not synced: a layer is hashed again before it is used.
    if (verified) await rename(order.partial, order.path);
    return { verified, digest, resumed, received: file.received };
  } finally {
    await handle.close();
  }
}

/** Requests what is missing until the file is complete. @returns whether the file has parts of several responses */
async function fill(
  client: RegistryClient,
  file: PartialFile,
  { from, blob, subject }: Order,
  signal: AbortSignal,
  retry: RetryPolicy,
): Promise<boolean> {
  let resumed = file.length > 0;
  let longest = file.length;
  for (let fruitless = 0; file.length < blob.size; ) {
    let broken: unknown;
    try {
      resumed ||= file.length > 0;
      const { offset, bytes } = await client.openBlob(from, blob, file.length, subject, signal);
      if (offset !== file.length) await file.restart();
      if (offset === 0) resumed = false;
      for await (const part of bytes) await file.append(part);
    } catch (err) {
      if (!(err instanceof ConnectionError)) throw err;
      broken = err;
    }
    if (file.length >= blob.size) break;
    fruitless = file.length > longest ? 0 : fruitless + 1;
    longest = Math.max(longest, file.length);
    if (fruitless === MAX_FRUITLESS) throw incomplete({ from, blob, subject }, file.length, broken);
    await pause(retry, fruitless + 1, undefined, signal);
  }
  return resumed;
}

function incomplete(
  { from, blob, subject }: Omit<LayerRequest, "takeRoom">,
  length: number,
  broken: unknown,
) {
  const facts = { received_bytes: String(length), expected_bytes: String(blob.size) };
  if (broken === undefined) {
    const problem = `${from.registry} sends ${length} bytes of it, and its manifest says ${blob.size}; push the image again`;
    return imageFault("LAYER_TRUNCATED", subject, problem, facts);
  }
  if (length === 0) return unreachable(from.registry, subject, broken);
  const problem = `the connection to ${from.registry} breaks after ${length} of ${blob.size} bytes, again and again; try again later`;
  return imageFault("REGISTRY_UNAVAILABLE", subject, problem, facts, { cause: broken });
}

/** The file of an unfinished download, hashed as it grows. */
class PartialFile {
  length = 0;
  received = 0;
  readonly #handle: FileHandle;
  readonly #order: Order;
  readonly #listener: DownloadListener;
  #hash: Hash = createHash("sha256");
  /** Longest length reported, so that bytes which come again are not reported again. */
  #reported = 0;

  constructor(handle: FileHandle, order: Order, listener: DownloadListener) {
    this.#handle = handle;
    this.#order = order;
    this.#listener = listener;
  }

  /** Reads what is in the file. */
  async load(): Promise<void> {
    const { size } = await this.#handle.stat();
    if (size > this.#order.blob.size) {
      await this.restart();
      return;
    }
    for await (const bytes of readChunks(this.#handle, size)) this.#count(bytes);
  }

  async append(bytes: Buffer): Promise<void> {
    this.received += bytes.length;
    receivedBytes.inc(bytes.length);
    this.#listener.onReceived(bytes.length);
    if (this.length + bytes.length > this.#order.blob.size) throw tooLong(this.#order);
    await this.#order.takeRoom(bytes.length);
    for (let at = 0; at < bytes.length; ) at += (await this.#handle.write(bytes, at)).bytesWritten;
    this.#count(bytes);
  }

  async restart(): Promise<void> {
    await this.#handle.truncate(0);
    this.length = 0;
    this.#hash = createHash("sha256");
  }

  digest(): Digest {
    return digestOf(this.#hash.digest("hex"));
  }

  #count(bytes: Buffer): void {
    this.#hash.update(bytes);
    this.length += bytes.length;
    if (this.length <= this.#reported) return;
    this.#listener.onBytes(this.length - this.#reported);
    this.#reported = this.length;
  }
}

function tooLong({ from, blob, subject }: LayerRequest) {
  const problem = `${from.registry} sends more than the ${blob.size} bytes its manifest says; push the image again`;
  return imageFault("IMAGE_DIGEST_MISMATCH", subject, problem, { expected_bytes: String(blob.size) });
}
