import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  openSync,
  readSync,
  statSync,
  truncateSync,
} from "node:fs";

/** Size in bytes from which a log is set aside. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Opens a log for appending, after {@link boundLog}. */
export function openLog(path: string): number {
  boundLog(path);
  return openSync(path, "a", 0o600);
}

/**
 * Copies a large log to `<path>.1` and empties it, so that writers need not reopen it. What they
 * write in between is not kept.
 */
export function boundLog(path: string, maxBytes = MAX_BYTES): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= maxBytes) return;
  copyFileSync(path, `${path}.1`);
  truncateSync(path);
}

/** Reads the last lines of a file, at most 16 KiB; empty when there is no file. */
export function tail(path: string, lines: number): string {
  if (!existsSync(path)) return "";
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const buffer = Buffer.alloc(Math.min(size, 16 * 1024));
    readSync(file, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString("utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } finally {
    closeSync(file);
  }
}
