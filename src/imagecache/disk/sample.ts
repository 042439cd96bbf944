import { createHash, randomInt } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { type Digest, digestOf } from "../../lib/oci/digest.ts";

/** A piece of a layer. Who can send it has the layer. */
export interface Sample {
  readonly offset: number;
  readonly length: number;
  readonly digest: Digest;
}

const SAMPLE_BYTES = 4 * 1024;

/** Takes samples of a file at random. @param size of the file */
export async function takeSamples(path: string, size: number, count: number): Promise<Sample[]> {
  await using handle = await open(path);
  return await Promise.all(Array.from({ length: count }, () => takeSample(handle, size)));
}

export function isSample(sample: Sample, bytes: Buffer): boolean {
  return bytes.length === sample.length && digestOfBytes(bytes) === sample.digest;
}

async function takeSample(handle: FileHandle, size: number): Promise<Sample> {
  const length = Math.min(size, SAMPLE_BYTES);
  const offset = randomInt(size - length + 1);
  const bytes = Buffer.alloc(length);
  await handle.read(bytes, 0, length, offset);
  return { offset, length, digest: digestOfBytes(bytes) };
}

function digestOfBytes(bytes: Buffer): Digest {
  return digestOf(createHash("sha256").update(bytes).digest("hex"));
}
