import { createHash } from "node:crypto";
import { type FileHandle, open, stat } from "node:fs/promises";
import { Fault } from "../../lib/faults/fault.ts";
import { type Digest, digestOf } from "../../lib/oci/digest.ts";
import { sleep } from "../../lib/runtime/wait.ts";

/** Large enough to keep the disk busy, small enough to let other work run in between. */
const CHUNK = 1024 * 1024;
const SYNC_EVERY_MS = 300;

export async function syncFile(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Syncs a file repeatedly while it is written, until `signal` aborts, so that the last sync is short.
 * Ignores failures, which the last sync reports.
 */
export async function syncWhileWritten(path: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(SYNC_EVERY_MS, signal);
    await syncFile(path).catch(() => undefined);
  }
}

/** Computes the digest of a file's first `length` bytes. @param pause called after each chunk */
export async function hashFile(
  path: string,
  signal: AbortSignal,
  length = Number.POSITIVE_INFINITY,
  pause?: (signal: AbortSignal) => Promise<void>,
): Promise<Digest> {
  const file = await open(path, "r");
  try {
    const hash = createHash("sha256");
    for await (const bytes of readChunks(file, length)) {
      signal.throwIfAborted();
      hash.update(bytes);
      await pause?.(signal);
    }
    return digestOf(hash.digest("hex"));
  } finally {
    await file.close();
  }
}

/** Yields a file's first `length` bytes. Each chunk is valid until the next. */
export async function* readChunks(file: FileHandle, length: number): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK);
  for (let position = 0; position < length; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK, length - position), position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Returns a file's length and its bytes of disk; undefined when it is missing. */
export async function fileInfo(
  path: string,
): Promise<{ length: number; bytes: number; mtimeMs: number } | undefined> {
  try {
    const info = await stat(path);
    return { length: info.size, bytes: info.blocks * 512, mtimeMs: info.mtimeMs };
  } catch (err) {
    if (isMissing(err)) return undefined;
    throw err;
  }
}

export function isMissing(err: unknown): boolean {
  return codeOf(err) === "ENOENT";
}

/** Turns ENOSPC and EDQUOT into a fault; returns other errors as they are. */
export function asDiskFull(err: unknown, dir: string): unknown {
  const code = codeOf(err);
  return code === "ENOSPC" || code === "EDQUOT" ? diskFull(dir, "the file system is full", {}, err) : err;
}

export function diskFull(
  dir: string,
  why: string,
  facts: Readonly<Record<string, string>>,
  cause?: unknown,
): Fault {
  const message = `no room for the image in ${dir}: ${why}; destroy machines whose images are not needed, or give the cache more room`;
  return new Fault("RESOURCE_EXHAUSTED", "DISK_FULL", message, { directory: dir, ...facts }, { cause });
}

function codeOf(err: unknown): unknown {
  return err instanceof Error && "code" in err ? err.code : undefined;
}
