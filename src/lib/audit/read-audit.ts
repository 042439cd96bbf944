import { type FileHandle, open, stat } from "node:fs/promises";
import { Paces } from "../limits/paces.ts";
import { Semaphore } from "../limits/semaphore.ts";
import { systemClock } from "../runtime/clock.ts";
import { sleep } from "../runtime/wait.ts";
import { type AuditEntry, fromLine } from "./audit-entry.ts";
import { auditPath } from "./audit-file.ts";

/** Filters of entries. An absent one excludes nothing. */
export interface AuditQuery {
  readonly org?: string | undefined;
  readonly subject?: string | undefined;
  readonly object?: string | undefined;
  readonly sinceMs?: number | undefined;
  /** Organisation of the reader, which has a pace. Absent: an operator. */
  readonly reader?: string | undefined;
  /** Continues with entries as they are written. */
  readonly follow: boolean;
}

const MAX_FILES = 1_000;
const FOLLOW_MS = 500;
const CHUNK_BYTES = 256 * 1024;

/** Entries that an organisation reads. */
const READ_PACE = { perSecond: 20_000, burst: 200_000 };
/** Cost of reading a chunk that has no matching entry. */
const CHUNK_COST = 50;
const paces = new Paces({ ...READ_PACE, clock: systemClock });

/** All readers of a process take turns with their chunks, so that many of them delay nobody's call. */
const turns = new Semaphore({
  permits: 1,
  maxWaiting: Number.POSITIVE_INFINITY,
  full: () => new Error("never"),
});
/** Of the reader whose turn it is. */
const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);

/** Reads the entries of a log, oldest first, some at a time. */
export async function* readAudit(
  folder: string,
  query: AuditQuery,
  signal: AbortSignal,
): AsyncGenerator<readonly AuditEntry[]> {
  // Opened all at once: files that are rotated meanwhile are read to their end all the same.
  const files = await openAll(folder);
  try {
    let offset = 0;
    for (let file = files.at(-1); file; file = files.at(-1)) {
      offset = yield* readLines(file, 0, query, signal);
      // The newest is followed. A file that is open takes its place on the disk.
      if (files.length === 1) break;
      await files.pop()?.close();
    }
    while (query.follow && !signal.aborted) {
      await sleep(FOLLOW_MS, signal);
      const [newest] = files;
      const next = await openNext(folder, newest);
      if (newest) offset = yield* readLines(newest, offset, query, signal);
      if (!next) continue;
      files.unshift(next);
      await files[1]?.close();
      files.length = 1;
      offset = yield* readLines(next, 0, query, signal);
    }
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

/** Opens the file that is written when it is another one than `newest`. */
async function openNext(folder: string, newest: FileHandle | undefined): Promise<FileHandle | undefined> {
  const path = auditPath(folder, 0);
  const current = await stat(path).catch(() => undefined);
  if (!current || current.ino === (await newest?.stat())?.ino) return undefined;
  return await openFile(path);
}

/** Opens the files, newest first, each once. While files are rotated, one of them is missing, and others have the path of the next. */
async function openAll(folder: string): Promise<FileHandle[]> {
  const files: FileHandle[] = [];
  const seen = new Set<number>();
  let missing = 0;
  for (let age = 0; age < MAX_FILES && missing < 2; age++) {
    const file = await openFile(auditPath(folder, age));
    missing = file ? 0 : missing + 1;
    if (!file) continue;
    const { ino } = await file.stat();
    if (seen.has(ino)) await file.close();
    else files.push(file);
    seen.add(ino);
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
  signal: AbortSignal,
): AsyncGenerator<readonly AuditEntry[], number> {
  let offset = start;
  if ((await file.stat()).size <= offset) return offset;
  const wanted = wordsOf(query);
  for (;;) {
    const { end, entries } = await turns.run(
      async () => {
        const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, offset);
        const end = chunk.subarray(0, bytesRead).lastIndexOf("\n") + 1;
        return { end, entries: entriesIn(chunk.subarray(0, end), wanted, query) };
      },
      signal,
      query.org,
    );
    if (end === 0) return offset;
    offset += end;
    if (entries.length > 0) yield entries;
    if (query.reader !== undefined) await paces.take(query.reader, CHUNK_COST + entries.length, signal);
  }
}

/** Returns what the lines of wanted entries contain: most others need not be parsed. */
function wordsOf({ org, subject, object }: AuditQuery): readonly string[] {
  return [org, subject, object].flatMap((text) => (text === undefined ? [] : [JSON.stringify(text)]));
}

function entriesIn(lines: Buffer, wanted: readonly string[], query: AuditQuery): readonly AuditEntry[] {
  if (!wanted.every((word) => lines.includes(word))) return [];
  return lines
    .toString("utf8")
    .trimEnd()
    .split("\n")
    .filter((line) => wanted.every((word) => line.includes(word)))
    .map(fromLine)
    .filter((entry) => entry !== undefined)
    .filter((entry) => matches(entry, query));
}

function matches(entry: AuditEntry, { org, subject, object, sinceMs }: AuditQuery): boolean {
  return (
    (org === undefined || entry.org === org) &&
    (subject === undefined || entry.subject === subject) &&
    (object === undefined || entry.object === object) &&
    (sinceMs === undefined || entry.timeMs >= sinceMs)
  );
}
