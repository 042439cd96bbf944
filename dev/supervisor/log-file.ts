import { closeSync, copyFileSync, fstatSync, openSync, readSync, statSync, truncateSync } from "node:fs";

/** A log and the one before it take at most about twice this, in bytes. */
const LARGEST = 16 * 1024 * 1024;

/** Opens a log for appending; a large one is set aside first. */
export function openLog(path: string): number {
  boundLog(path);
  return openSync(path, "a", 0o600);
}

/**
 * Sets a large log aside as `<path>.1`, in place of the one set aside before. The file itself stays, emptied: processes that
 * append to it go on doing so, and what they write between the two steps is the price of not asking them to reopen it.
 */
export function boundLog(path: string, largest = LARGEST): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= largest) return;
  copyFileSync(path, `${path}.1`);
  truncateSync(path);
}

/** The last lines of a file, at most 16 KiB of them; empty when there is none. */
export function tail(path: string, lines: number): string {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return "";
  }
  try {
    const { size } = fstatSync(file);
    const length = Math.min(size, 16 * 1024);
    const buffer = Buffer.alloc(length);
    readSync(file, buffer, 0, length, size - length);
    return buffer.toString("utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } finally {
    closeSync(file);
  }
}
