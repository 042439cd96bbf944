import type { EntryType, TarEntry } from "./entry.ts";
import { checksumFits, parseDecimal, readName, readNumber } from "./fields.ts";
import { layerFault, shownPath } from "./layer-fault.ts";
import type { PaxRecords } from "./pax.ts";

/** Special entries that precede an entry and belong to it. */
export interface Extras {
  readonly pax: PaxRecords;
  /** GNU's form of names longer than a header holds. */
  readonly longPath?: string;
  readonly longLink?: string;
}

/** An entry, and what only the reader needs. */
export interface Decoded {
  readonly entry: TarEntry;
  /** Bytes that follow in the archive; less than `entry.size` for sparse files. */
  readonly stored: number;
  readonly sparse?: "gnu-old" | "pax" | "pax-1.0";
}

const TYPES: Readonly<Record<string, EntryType>> = {
  "\0": "file",
  "0": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "dir",
  "6": "fifo",
  "7": "file",
  S: "file",
};
const MAX_ID = 2 ** 32 - 1;
const ROOT = 0;
/** Of Linux's device numbers. */
const MAX_MAJOR = 2 ** 12 - 1;
const MAX_MINOR = 2 ** 20 - 1;
const MAX_PATH = 4096;

export function typeFlag(block: Buffer): string {
  return String.fromCharCode(block[156] ?? 0);
}

/** @throws Fault `LAYER_CORRUPT` unless the block is a header */
export function checkHeader(block: Buffer): void {
  if (checksumFits(block)) return;
  throw layerFault("LAYER_CORRUPT", "it is not a tar archive, or is damaged: a header's checksum is wrong");
}

/** Decodes a header and the special entries before it. */
export function decodeHeader(block: Buffer, extras: Extras): Decoded {
  const { values, xattrs } = extras.pax;
  const flag = typeFlag(block);
  const path = values.get("GNU.sparse.name") ?? values.get("path") ?? extras.longPath ?? headerPath(block);
  const type = flag === "\0" || flag === "0" ? plainType(path) : TYPES[flag];
  if (type === undefined) throw corrupt(path, `is of the unknown type ${JSON.stringify(flag)}`);
  const link = values.get("linkpath") ?? extras.longLink ?? readName(block, 157, 100);
  checkNames(path, type === "symlink" || type === "hardlink" ? link : "");
  // The letter decides whether content follows, also when a name makes a file a directory.
  const stored = TYPES[flag] === "file" ? number(values, "size", block, 124, 12) : 0;
  const sparse = sparseKind(flag, extras.pax);
  const isDevice = type === "char" || type === "block";
  const entry: TarEntry = {
    path,
    type,
    mode: readNumber(block, 100, 8) & 0o7777,
    uid: id(number(values, "uid", block, 108, 8), path),
    gid: id(number(values, "gid", block, 116, 8), path),
    size: type !== "file" ? 0 : sparse ? realSize(block, extras.pax, stored) : stored,
    mtime: number(values, "mtime", block, 136, 12),
    link: type === "symlink" || type === "hardlink" ? link : "",
    major: isDevice ? deviceNumber(readNumber(block, 329, 8), MAX_MAJOR, path) : 0,
    minor: isDevice ? deviceNumber(readNumber(block, 337, 8), MAX_MINOR, path) : 0,
    xattrs,
  };
  if (stored < 0 || (type === "file" && entry.size < stored)) throw corrupt(path, "has an impossible size");
  return sparse ? { entry, stored, sparse } : { entry, stored };
}

/** Joins the two parts of a long path. Only ustar has the second. */
function headerPath(block: Buffer): string {
  const name = readName(block, 0, 100);
  const isUstar = block.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isUstar ? readName(block, 345, 155) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** Returns the type of an entry in the v7 format: a trailing slash makes a directory. */
function plainType(path: string): EntryType {
  return path.endsWith("/") ? "dir" : "file";
}

function sparseKind(flag: string, pax: PaxRecords): Decoded["sparse"] {
  if (flag === "S") return "gnu-old";
  if (pax.values.get("GNU.sparse.major") === "1") return "pax-1.0";
  return pax.values.has("GNU.sparse.map") || pax.stretches.length > 0 ? "pax" : undefined;
}

function realSize(block: Buffer, pax: PaxRecords, stored: number): number {
  const stated = pax.values.get("GNU.sparse.realsize") ?? pax.values.get("GNU.sparse.size");
  if (stated !== undefined) return parseDecimal(stated, "size");
  return typeFlag(block) === "S" ? readNumber(block, 483, 12) : stored;
}

function number(values: PaxRecords["values"], key: string, block: Buffer, at: number, width: number): number {
  const stated = values.get(key);
  return stated === undefined ? readNumber(block, at, width) : parseDecimal(stated, key);
}

/**
 * Checks the number of an owner or a group. The largest is -1, which to `chown` means no change: root, who
 * unpacks elsewhere, stays the owner. Linux has no such owner, and cannot change a file of one.
 */
function id(value: number, path: string): number {
  if (value < 0 || value > MAX_ID) throw corrupt(path, `has the owner ${value}, which no system knows`);
  return value === MAX_ID ? ROOT : value;
}

function deviceNumber(value: number, max: number, path: string): number {
  if (value < 0 || value > max) throw corrupt(path, `has the device number ${value}, which no system knows`);
  return value;
}

function checkNames(path: string, link: string): void {
  if (path.length > MAX_PATH || link.length > MAX_PATH)
    throw corrupt(path, "has a name longer than 4096 bytes");
  if (path.includes("\0") || link.includes("\0")) throw corrupt(path, "has a zero byte in its name");
}

function corrupt(path: string, problem: string) {
  return layerFault("LAYER_CORRUPT", `its entry ${shownPath(path)} ${problem}`, { path: shownPath(path) });
}
