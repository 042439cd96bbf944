import type { TarEntry } from "./entry.ts";
import { BLOCK } from "./fields.ts";
import { NO_RECORDS } from "./pax.ts";

const FLAGS = { file: "0", hardlink: "1", symlink: "2", char: "3", block: "4", dir: "5", fifo: "6" } as const;
/** Limits of seven and eleven octal digits. */
const MAX_ID = 0o7777777;
const MAX_SIZE = 0o77777777777;
/** A squashfs has 32 unsigned bits for seconds. */
const MAX_MTIME = 2 ** 32 - 1;
/** Namespaces of attributes that a squashfs can hold: not `system.`, which has POSIX ACLs. */
const STORABLE = /^(?:user|trusted|security)\../s;
/** The guest's overlay file system would obey these attributes of an image. */
const OVERLAY = /^(?:trusted|user)\.overlay\./;

export const TAR_END: Buffer = Buffer.alloc(2 * BLOCK);

/**
 * Encodes the header of an entry, with an extended header before it where needed. The content, padded to
 * whole blocks, must follow. The same entry always gives the same bytes.
 *
 * @param path in the image, without a leading slash; empty for the root
 */
export function encodeEntry(entry: TarEntry, path: string): Buffer {
  const name = entry.type === "dir" ? `./${path}${path === "" ? "" : "/"}` : `./${path}`;
  const records: Buffer[] = [];
  if (name.length > 100) records.push(record("path", name));
  if (entry.link.length > 100) records.push(record("linkpath", entry.link));
  if (entry.size > MAX_SIZE) records.push(record("size", String(entry.size)));
  if (entry.uid > MAX_ID) records.push(record("uid", String(entry.uid)));
  if (entry.gid > MAX_ID) records.push(record("gid", String(entry.gid)));
  for (const [key, value] of sortedXattrs(entry)) records.push(record(`SCHILY.xattr.${key}`, value));
  const main = header({ ...entry, path: name }, FLAGS[entry.type]);
  if (records.length === 0) return main;
  const body = Buffer.concat(records);
  const extended = header({ ...NOBODY, path: "./@PaxHeader", size: body.length }, "x");
  return Buffer.concat([extended, body, Buffer.alloc(paddingOf(body.length)), main]);
}

/** Encodes another name of a file written before. */
export function encodeHardLink(path: string, target: string): Buffer {
  return encodeEntry({ ...NOBODY, type: "hardlink", link: `./${target}` }, path);
}

/** Encodes a directory that no layer has an entry for. */
export function encodeDirectory(path: string): Buffer {
  return encodeEntry({ ...NOBODY, type: "dir", mode: 0o755 }, path);
}

export function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

const NOBODY: TarEntry = {
  path: "",
  type: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  link: "",
  major: 0,
  minor: 0,
  xattrs: NO_RECORDS.xattrs,
};

/** Sorts attributes, so that an image does not depend on their order in a layer. */
function sortedXattrs(entry: TarEntry): (readonly [string, Buffer])[] {
  const storable = entry.xattrs.list.filter(([key]) => STORABLE.test(key) && !OVERLAY.test(key));
  return storable.sort(([a], [b]) => (a < b ? -1 : 1));
}

function header(entry: TarEntry, flag: string): Buffer {
  // From Node's pool: a million separate allocations would burden the garbage collector.
  const block = Buffer.allocUnsafe(BLOCK).fill(0);
  block.write(entry.path.slice(0, 100), 0, "latin1");
  octal(block, 100, 8, entry.mode);
  octal(block, 108, 8, Math.min(entry.uid, MAX_ID));
  octal(block, 116, 8, Math.min(entry.gid, MAX_ID));
  octal(block, 124, 12, Math.min(entry.size, MAX_SIZE));
  octal(block, 136, 12, Math.min(Math.max(entry.mtime, 0), MAX_MTIME));
  block.write(flag, 156, "latin1");
  block.write(entry.link.slice(0, 100), 157, "latin1");
  block.write("ustar\u000000", 257, "latin1");
  octal(block, 329, 8, entry.major);
  octal(block, 337, 8, entry.minor);
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  octal(block, 148, 7, sum);
  return block;
}

function octal(block: Buffer, at: number, width: number, value: number): void {
  block.write(value.toString(8).padStart(width - 1, "0"), at, "latin1");
  block[at + width - 1] = 0;
}

/** Encodes `length key=value\n`, where the length counts its own digits. */
function record(key: string, value: string | Buffer): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value, "latin1") : value;
  const bare = key.length + bytes.length + 3;
  let length = bare + String(bare).length;
  if (bare + String(length).length !== length) length = bare + String(length).length;
  return Buffer.concat([Buffer.from(`${length} ${key}=`, "latin1"), bytes, Buffer.from("\n")]);
}
