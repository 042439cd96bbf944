import { type FileHandle, open } from "node:fs/promises";
import { sleep } from "../runtime/wait.ts";
import { type AuditEntry, fromLine } from "./audit-entry.ts";
import { auditPath } from "./audit-file.ts";

/** Which entries are wanted; what is absent does not matter. */
export interface AuditQuery {
  readonly org?: string | undefined;
  readonly subject?: string | undefined;
  readonly object?: string | undefined;
  readonly sinceMs?: number | undefined;
  /** Goes on with entries as they are written. */
  readonly follow: boolean;
}

const MAX_FILES = 1_000;
const FOLLOW_MS = 500;
const CHUNK_BYTES = 256 * 1024;

/** Reads the entries of a log, oldest first, some at a time. */
export async function* readAudit(
  folder: string,
  query: AuditQuery,
  signal: AbortSignal,
): AsyncGenerator<readonly AuditEntry[]> {
  // Opened all at once: files that are rotated meanwhile are read to their end all the same.
  const files = await openAll(folder);
  try {
    let newest: FileHandle | undefined;
    let offset = 0;
    for (const file of files.toReversed()) {
      newest = file;
      offset = yield* readLines(file, 0, query);
    }
    while (query.follow && !signal.aborted) {
      await sleep(FOLLOW_MS, signal);
      if (newest) offset = yield* readLines(newest, offset, query);
      const current = await openFile(auditPath(folder, 0));
      if (!current) continue;
      files.push(current);
      const isSame = newest && (await current.stat()).ino === (await newest.stat()).ino;
      if (isSame) {
        await files.pop()?.close();
      } else {
        newest = current;
        offset = yield* readLines(current, 0, query);
      }
    }
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

/** Opens the files, newest first. */
async function openAll(folder: string): Promise<FileHandle[]> {
  const files: FileHandle[] = [];
  for (let age = 0; age < MAX_FILES; age++) {
    const file = await openFile(auditPath(folder, age));
    if (!file) break;
    files.push(file);
  }
  return files;
}

async function openFile(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (err) {
    if (err instanceof Error && "code" in err && err.code === "ENOENT") return undefined;
    throw err;
  }
}

/** Reads whole lines from an offset on. Returns the offset after the last one. */
async function* readLines(
  file: FileHandle,
  start: number,
  query: AuditQuery,
): AsyncGenerator<readonly AuditEntry[], number> {
  let offset = start;
  for (;;) {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, offset);
    const end = buffer.subarray(0, bytesRead).lastIndexOf("\n") + 1;
    if (end === 0) return offset;
    const lines = buffer.toString("utf8", 0, end).trimEnd().split("\n");
    const entries = lines.map(fromLine).filter((entry) => entry && matches(entry, query));
    if (entries.length > 0) yield entries.filter((entry) => entry !== undefined);
    offset += end;
  }
}

function matches(entry: AuditEntry, { org, subject, object, sinceMs }: AuditQuery): boolean {
  return (
    (org === undefined || entry.org === org) &&
    (subject === undefined || entry.subject === subject) &&
    (object === undefined || entry.object === object) &&
    (sinceMs === undefined || entry.timeMs >= sinceMs)
  );
}
