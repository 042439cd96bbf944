import { createHash } from "node:crypto";
import { type FileHandle, open, stat } from "node:fs/promises";
import { type Digest, digestOf } from "../../lib/oci/digest.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import { sleep } from "../../lib/runtime/wait.ts";

/** Large enough to keep the disk busy, small enough to let other work in between. */
const CHUNK = 1024 * 1024;
const SYNC_EVERY_MS = 300;

/** Brings a file's bytes to the disk. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Brings a file that is being written to the disk bit by bit, until `signal` aborts, so that little is left to wait for when
 * it is complete. Best effort: what fails here fails again, and is told, when the file is synced in the end.
 */
export async function syncWhileWritten(path: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(SYNC_EVERY_MS, signal);
    await syncFile(path).catch(() => undefined);
  }
}

/** The digest of a file's first `length` bytes, or of all of it. Reads at full speed unless `pause` is given. */
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

/** A file's first `length` bytes. Each chunk is valid until the next one is asked for. */
export async function* readChunks(file: FileHandle, length: number): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK);
  for (let position = 0; position < length; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK, length - position), position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** A file's length and the disk space it takes; undefined when it is not there. */
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

/** Whether an error says that a file is not there. */
export function isMissing(err: unknown): boolean {
  return codeOf(err) === "ENOENT";
}

/** Turns "no space left" into the fault it is; returns everything else as it came. */
export function asDiskFull(err: unknown, dir: string): unknown {
  const code = codeOf(err);
  return code === "ENOSPC" || code === "EDQUOT" ? diskFull(dir, "the file system is full", {}, err) : err;
}

/** The fault for a disk, or a budget, without room. */
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
