import { layerFault } from "./layer-fault.ts";

export interface PaxRecords {
  /** Those that mean something here, as Latin-1 strings. An empty value removes an earlier one, by POSIX. */
  readonly values: ReadonlyMap<string, string>;
  readonly xattrs: Xattrs;
  /** Sparse map of the form 0.0: offset, length, offset, ... */
  readonly stretches: readonly string[];
}

/** Extended attributes, shared by all entries that have the same. */
export interface Xattrs {
  /** Names as Latin-1 strings, values as bytes. */
  readonly list: readonly (readonly [string, Buffer])[];
  /** Of all names and values. */
  readonly bytes: number;
}

export const NO_RECORDS: PaxRecords = {
  values: new Map(),
  xattrs: { list: [], bytes: 0 },
  stretches: [],
};

/** As in Linux. */
const MAX_XATTR_NAME = 255;
/** Of an entry. A file has a handful. */
const MAX_XATTRS = 256;
/** Names and values. With names of files they fit the 64 KiB that tar2sqfs takes as an extended header. */
const MAX_XATTR_BYTES = 48 * 1024;

const SPARSE = "GNU.sparse.";
const KEPT: ReadonlySet<string> = new Set([
  ...["path", "linkpath", "size", "uid", "gid", "mtime"],
  ...["name", "realsize", "size", "major", "map"].map((key) => SPARSE + key),
]);
const SCHILY = "SCHILY.xattr.";
const LIBARCHIVE = "LIBARCHIVE.xattr.";

/**
 * Parses the records of an extended header (`length key=value\n`) on top of `base`. Extended attributes
 * stay bytes, since file capabilities are binary.
 *
 * @param isGlobal whether the header is for all entries that follow; a sparse map is of one file only
 * @throws Fault `LAYER_CORRUPT` or `LAYER_TOO_LARGE`
 */
export function parsePax(body: Buffer, base: PaxRecords, isGlobal: boolean): PaxRecords {
  const values = new Map(base.values);
  let xattrs: Map<string, Buffer> | undefined;
  const stretches: string[] = [];
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const { key, value, next } = record(body, at);
    at = next;
    if (key.startsWith(SCHILY)) {
      xattrs ??= new Map(base.xattrs.list);
      setXattr(xattrs, key.slice(SCHILY.length), Buffer.from(value));
    } else if (key.startsWith(LIBARCHIVE)) {
      xattrs ??= new Map(base.xattrs.list);
      setLibarchive(xattrs, key.slice(LIBARCHIVE.length), value);
    } else if (isGlobal && key.startsWith(SPARSE)) {
    } else if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes")
      stretches.push(value.toString("latin1"));
    else if (value.length === 0) values.delete(key);
    else if (KEPT.has(key)) values.set(key, value.toString("latin1"));
  }
  return { values, xattrs: xattrs === undefined ? base.xattrs : shared(xattrs), stretches };
}

function record(body: Buffer, at: number): { key: string; value: Buffer; next: number } {
  const space = body.indexOf(0x20, at);
  const length = Number(space < 0 || space - at > 10 ? Number.NaN : body.toString("latin1", at, space));
  const next = at + length;
  const equals = body.indexOf(0x3d, space);
  const valid = next <= body.length && equals > space && equals < next - 1 && body[next - 1] === 0x0a;
  if (!valid) throw layerFault("LAYER_CORRUPT", "an extended header has a malformed record");
  return {
    key: body.toString("latin1", space + 1, equals),
    value: body.subarray(equals + 1, next - 1),
    next,
  };
}

/** Sets an attribute of libarchive (name percent-encoded, value in base64) unless SCHILY's form has it. */
function setLibarchive(xattrs: Map<string, Buffer>, encoded: string, value: Buffer): void {
  const name = encoded.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  if (!xattrs.has(name)) setXattr(xattrs, name, Buffer.from(value.toString("latin1"), "base64"));
}

function setXattr(xattrs: Map<string, Buffer>, name: string, value: Buffer): void {
  if (name.length > MAX_XATTR_NAME)
    throw tooLarge("bytes of the name of an extended attribute", MAX_XATTR_NAME, name.length);
  xattrs.set(name, value);
  if (xattrs.size > MAX_XATTRS) throw tooLarge("extended attributes", MAX_XATTRS, xattrs.size);
}

function shared(xattrs: ReadonlyMap<string, Buffer>): Xattrs {
  let bytes = 0;
  for (const [name, value] of xattrs) bytes += name.length + value.length;
  if (bytes > MAX_XATTR_BYTES) throw tooLarge("bytes of extended attributes", MAX_XATTR_BYTES, bytes);
  return { list: [...xattrs], bytes };
}

function tooLarge(what: string, limit: number, value: number) {
  const problem = `one of its entries has more than ${limit} ${what}`;
  return layerFault("LAYER_TOO_LARGE", problem, {
    limit: `${limit} ${what} of an entry`,
    value: String(value),
  });
}
