import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { digestOf } from "../../lib/oci/digest.ts";
import { imageFault, type Subject } from "../../lib/oci/faults.ts";
import { ConnectionError } from "../../lib/oci/http.ts";
import type { Descriptor } from "../../lib/oci/manifest.ts";
import type { ImageReference } from "../../lib/oci/reference.ts";
import type { RegistryClient } from "../../lib/oci/registry.ts";
import { DEFAULT_RETRY, pause, type RetryPolicy } from "../../lib/oci/retry.ts";
import { readChunks } from "../disk/files.ts";
import { receivedBytes } from "../metrics.ts";

/** What to download, and where to. */
export interface Order {
  readonly ref: ImageReference;
  readonly blob: Descriptor;
  /** Where it grows, and where a broken download is taken up again. */
  readonly partial: string;
  /** Where it is once it is complete and verified. */
  readonly path: string;
  readonly subject: Subject;
}

/** Called with bytes that were not there before. */
export type OnBytes = (bytes: number) => void;

/** Connections may break this often in a row without a new byte before we give up, beyond what each request retries. */
const MAX_FRUITLESS = 4;

/**
 * Downloads a blob, verifying it on the way. A broken connection is taken up where it broke, and so is a download
 * that a crash cut short; what was there already is hashed again, not believed.
 *
 * @returns bytes that came over the network
 * @throws Fault `IMAGE_DIGEST_MISMATCH`, `LAYER_TRUNCATED`, `REGISTRY_UNAVAILABLE` or what opening a blob throws
 */
export async function download(
  client: RegistryClient,
  order: Order,
  onBytes: OnBytes,
  signal: AbortSignal,
  retry: RetryPolicy = DEFAULT_RETRY,
): Promise<number> {
  const first = await attempt(client, order, onBytes, signal, retry);
  if (first.verified) return first.received;
  // What a crash left may be zeros where data was, and what changed in between is of two kinds. Once from the start, then.
  await rm(order.partial, { force: true });
  const second = first.resumed ? await attempt(client, order, () => undefined, signal, retry) : first;
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
  onBytes: OnBytes,
  signal: AbortSignal,
  retry: RetryPolicy,
) {
  const file = await open(order.partial, "a+", 0o644);
  try {
    const growing = new Growing(file, order, onBytes);
    await growing.adopt();
    const resumed = await fill(client, growing, order, signal, retry);
    const digest = growing.digest();
    const verified = digest === order.blob.digest;
    // Not synced: a layer is hashed before it is used again, so one that a power cut damages is found out.
    if (verified) await rename(order.partial, order.path);
    return { verified, digest, resumed, received: growing.received };
  } finally {
    await file.close();
  }
}

/** Asks again and again for what is missing. @returns whether the file is pieced together from several answers */
async function fill(
  client: RegistryClient,
  growing: Growing,
  order: Order,
  signal: AbortSignal,
  retry: RetryPolicy,
) {
  let resumed = growing.length > 0;
  let furthest = growing.length;
  for (let fruitless = 0; growing.length < order.blob.size; ) {
    let broken: unknown;
    try {
      resumed ||= growing.length > 0;
      const { offset, bytes } = await client.openBlob(
        order.ref,
        order.blob,
        growing.length,
        order.subject,
        signal,
      );
      if (offset !== growing.length) await growing.restart();
      if (offset === 0) resumed = false;
      for await (const part of bytes) await growing.append(part);
    } catch (err) {
      if (!(err instanceof ConnectionError)) throw err;
      broken = err;
    }
    if (growing.length >= order.blob.size) break;
    fruitless = growing.length > furthest ? 0 : fruitless + 1;
    furthest = Math.max(furthest, growing.length);
    if (fruitless === MAX_FRUITLESS) throw gaveUp(order, growing.length, broken);
    await pause(retry, fruitless + 1, undefined, signal);
  }
  return resumed;
}

function gaveUp({ ref, blob, subject }: Order, length: number, broken: unknown) {
  const facts = { received_bytes: String(length), expected_bytes: String(blob.size) };
  if (broken === undefined) {
    const problem = `${ref.registry} sends ${length} bytes of it, and its manifest says ${blob.size}; push the image again`;
    return imageFault("LAYER_TRUNCATED", subject, problem, facts);
  }
  const problem = `the connection to ${ref.registry} breaks after ${length} of ${blob.size} bytes, again and again; try again later`;
  return imageFault("REGISTRY_UNAVAILABLE", subject, problem, facts, { cause: broken });
}

/** A file that grows, hashed as it does. */
class Growing {
  length = 0;
  received = 0;
  readonly #file: FileHandle;
  readonly #order: Order;
  readonly #onBytes: OnBytes;
  #hash: Hash = createHash("sha256");
  /** How far it has been before: what comes again is not reported again. */
  #reported = 0;

  constructor(file: FileHandle, order: Order, onBytes: OnBytes) {
    this.#file = file;
    this.#order = order;
    this.#onBytes = onBytes;
  }

  /** Takes up what is in the file. */
  async adopt(): Promise<void> {
    const { size } = await this.#file.stat();
    if (size > this.#order.blob.size) {
      await this.restart();
      return;
    }
    for await (const bytes of readChunks(this.#file, size)) this.#count(bytes);
  }

  async append(bytes: Buffer): Promise<void> {
    this.received += bytes.length;
    receivedBytes.inc(bytes.length);
    if (this.length + bytes.length > this.#order.blob.size) throw tooLong(this.#order);
    // The file is open for appending, and a short write is continued.
    for (let at = 0; at < bytes.length; ) at += (await this.#file.write(bytes, at)).bytesWritten;
    this.#count(bytes);
  }

  async restart(): Promise<void> {
    await this.#file.truncate(0);
    this.length = 0;
    this.#hash = createHash("sha256");
  }

  digest() {
    return digestOf(this.#hash.digest("hex"));
  }

  #count(bytes: Buffer): void {
    this.#hash.update(bytes);
    this.length += bytes.length;
    if (this.length <= this.#reported) return;
    this.#onBytes(this.length - this.#reported);
    this.#reported = this.length;
  }
}

function tooLong({ ref, blob, subject }: Order) {
  const problem = `${ref.registry} sends more than the ${blob.size} bytes its manifest says; push the image again`;
  return imageFault("IMAGE_DIGEST_MISMATCH", subject, problem, { expected_bytes: String(blob.size) });
}
