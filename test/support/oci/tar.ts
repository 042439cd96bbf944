/** One entry of a layer. Written as it is: what a real builder would never write can be written too. */
export interface TarEntry {
  /** Path in the archive, e.g. `etc/passwd`. Written as given: leading slashes and `..` stay. A Buffer for names that are not UTF-8. */
  readonly path: string | Buffer;
  /** Default `file`. */
  readonly type?: "file" | "dir" | "symlink" | "hardlink" | "char" | "block" | "fifo";
  /** Permission bits with setuid, setgid and sticky. Default 0o755 for directories, 0o777 for symlinks, 0o644 otherwise. */
  readonly mode?: number;
  /** Default 0. */
  readonly uid?: number;
  /** Default 0. */
  readonly gid?: number;
  /** Seconds since the epoch; default 1_600_000_000. */
  readonly mtime?: number;
  /** Bytes of a file. Default none. */
  readonly content?: string | Buffer;
  /** Where a symlink points, or the path in the archive a hard link shares. */
  readonly link?: string | Buffer;
  /** Device numbers. Default 0. */
  readonly major?: number;
  readonly minor?: number;
  /** Extended attributes, e.g. `{"user.note": "x"}`; written as PAX `SCHILY.xattr.` records. */
  readonly xattrs?: Readonly<Record<string, string | Buffer>>;
  /** How names over 100 bytes are written. Default `pax`. */
  readonly longNames?: "pax" | "gnu";
  /** Writes the file sparse: these stretches hold data, all else up to `size` is zeros. Replaces `content`. */
  readonly sparse?: SparseFile;
  /** Claims this size in the header whatever `content` holds: makes a broken archive. */
  readonly claimedSize?: number;
  /** Further PAX records, written before the entry. */
  readonly pax?: Readonly<Record<string, string | Buffer>>;
  /** Typeflag byte to write instead of the right one, e.g. `"Z"`. */
  readonly typeflag?: string;
}

/** A file with holes, and in which of the dialects to write it. */
export interface SparseFile {
  readonly format: "gnu-old" | "pax-0.0" | "pax-0.1" | "pax-1.0";
  readonly size: number;
  /** In the order of their offsets; multiples of 512 where real tars would have them. */
  readonly chunks: readonly { readonly offset: number; readonly data: Buffer }[];
}

const BLOCK = 512;
const FLAGS = { file: "0", hardlink: "1", symlink: "2", char: "3", block: "4", dir: "5", fifo: "6" } as const;

/**
 * Writes entries as a tar archive, with the two blocks of zeros that end one unless `end` is false. A writer
 * of its own, sharing nothing with the code under test, so that a misunderstanding in one shows against the other.
 */
export function writeTar(entries: readonly TarEntry[], end = true): Buffer {
  const parts: Buffer[] = [];
  for (const entry of entries) writeEntry(entry, parts);
  if (end) parts.push(Buffer.alloc(2 * BLOCK));
  return Buffer.concat(parts);
}

function writeEntry(entry: TarEntry, parts: Buffer[]): void {
  const type = entry.type ?? "file";
  let name = bytes(entry.path);
  if (type === "dir" && !name.toString("latin1").endsWith("/"))
    name = Buffer.concat([name, Buffer.from("/")]);
  const link = bytes(entry.link ?? "");
  const pax: [string, Buffer][] = Object.entries(entry.pax ?? {}).map(([k, v]) => [k, bytes(v)]);
  for (const [k, v] of Object.entries(entry.xattrs ?? {})) pax.push([`SCHILY.xattr.${k}`, bytes(v)]);
  let body: Buffer = type === "file" ? bytes(entry.content ?? "") : Buffer.alloc(0);
  let flag: string = entry.typeflag ?? FLAGS[type];
  let extension: Buffer = Buffer.alloc(0);
  let realSize: number | undefined;
  if (entry.sparse) {
    const encoded = encodeSparse(entry.sparse, name, pax);
    ({ body, extension } = encoded);
    if (encoded.old) [flag, realSize] = ["S", entry.sparse.size];
    name = encoded.name;
  }
  for (const [field, value] of [
    ["path", name],
    ["linkpath", link],
  ] as const) {
    if (value.length <= 100) continue;
    if (entry.longNames === "gnu") parts.push(...gnuLong(field === "path" ? "L" : "K", value));
    else pax.push([field, value]);
  }
  if (pax.length > 0) {
    const records = Buffer.concat(pax.map(([k, v]) => paxRecord(k, v)));
    parts.push(
      header({ name: bytes("PaxHeaders/x"), mode: 0o644, size: records.length, flag: "x" }),
      padded(records),
    );
  }
  const mode = entry.mode ?? (type === "dir" ? 0o755 : type === "symlink" ? 0o777 : 0o644);
  const size = entry.claimedSize ?? body.length;
  const fields = { name, mode, size, flag, link, ...pick(entry) };
  const head = header(fields);
  if (entry.sparse?.format === "gnu-old") stampOldSparse(head, entry.sparse, realSize ?? 0);
  parts.push(head, extension, padded(body));
}

function pick(e: TarEntry) {
  return {
    uid: e.uid ?? 0,
    gid: e.gid ?? 0,
    mtime: e.mtime ?? 1_600_000_000,
    major: e.major ?? 0,
    minor: e.minor ?? 0,
  };
}

interface Fields {
  name: Buffer;
  mode: number;
  size: number;
  flag: string;
  link?: Buffer;
  uid?: number;
  gid?: number;
  mtime?: number;
  major?: number;
  minor?: number;
}

function header(f: Fields): Buffer {
  const h = Buffer.alloc(BLOCK);
  f.name.copy(h, 0, 0, 100);
  number(h, 100, 8, f.mode);
  number(h, 108, 8, f.uid ?? 0);
  number(h, 116, 8, f.gid ?? 0);
  number(h, 124, 12, f.size);
  number(h, 136, 12, f.mtime ?? 0);
  h.write(f.flag, 156, "latin1");
  f.link?.copy(h, 157, 0, 100);
  h.write("ustar\u000000", 257, "latin1");
  number(h, 329, 8, f.major ?? 0);
  number(h, 337, 8, f.minor ?? 0);
  seal(h);
  return h;
}

function seal(h: Buffer): void {
  h.fill(32, 148, 156);
  let sum = 0;
  for (const byte of h) sum += byte;
  h.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}

/** Octal, or the GNU base-256 form for what octal cannot hold. */
function number(h: Buffer, at: number, width: number, value: number): void {
  const octal = value.toString(8);
  if (value >= 0 && octal.length < width) {
    h.write(`${octal.padStart(width - 1, "0")}\0`, at, "latin1");
    return;
  }
  let rest = BigInt.asUintN(8 * (width - 1), BigInt(value));
  for (let i = at + width - 1; i > at; i--) {
    h[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  h[at] = value < 0 ? 0xff : 0x80;
}

function encodeSparse(s: SparseFile, name: Buffer, pax: [string, Buffer][]) {
  // Like GNU tar: a last empty stretch says where the file ends.
  const stretches = [...s.chunks, { offset: s.size, data: Buffer.alloc(0) }];
  const data = Buffer.concat(s.chunks.map((c) => c.data));
  const numbers = stretches.flatMap((c) => [c.offset, c.data.length]);
  const none = Buffer.alloc(0);
  switch (s.format) {
    case "gnu-old":
      return { body: data, name, old: true, extension: oldSparseExtensions(stretches) };
    case "pax-0.0":
      pax.push(
        ["GNU.sparse.size", bytes(String(s.size))],
        ["GNU.sparse.numblocks", bytes(String(stretches.length))],
      );
      for (const c of stretches) {
        pax.push(
          ["GNU.sparse.offset", bytes(String(c.offset))],
          ["GNU.sparse.numbytes", bytes(String(c.data.length))],
        );
      }
      return { body: data, name, old: false, extension: none };
    case "pax-0.1":
      pax.push(
        ["GNU.sparse.size", bytes(String(s.size))],
        ["GNU.sparse.numblocks", bytes(String(stretches.length))],
      );
      pax.push(["GNU.sparse.name", name], ["GNU.sparse.map", bytes(numbers.join(","))]);
      return { body: data, name: bytes("GNUSparseFile.0/x"), old: false, extension: none };
    case "pax-1.0": {
      pax.push(["GNU.sparse.major", bytes("1")], ["GNU.sparse.minor", bytes("0")]);
      pax.push(["GNU.sparse.name", name], ["GNU.sparse.realsize", bytes(String(s.size))]);
      const map = padded(bytes(`${[stretches.length, ...numbers].join("\n")}\n`));
      return {
        body: Buffer.concat([map, data]),
        name: bytes("GNUSparseFile.0/x"),
        old: false,
        extension: none,
      };
    }
  }
}

/** Old GNU sparse: four stretches in the header, 21 in each extension block. */
function stampOldSparse(h: Buffer, s: SparseFile, realSize: number): void {
  const stretches = [...s.chunks, { offset: s.size, data: Buffer.alloc(0) }];
  h.write("ustar  \0", 257, "latin1");
  h.fill(0, 345, BLOCK);
  stretches.slice(0, 4).forEach((c, i) => {
    number(h, 386 + 24 * i, 12, c.offset);
    number(h, 398 + 24 * i, 12, c.data.length);
  });
  if (stretches.length > 4) h[482] = 1;
  number(h, 483, 12, realSize);
  seal(h);
}

function oldSparseExtensions(stretches: SparseFile["chunks"]): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 4; i < stretches.length; i += 21) {
    const block = Buffer.alloc(BLOCK);
    stretches.slice(i, i + 21).forEach((c, j) => {
      number(block, 24 * j, 12, c.offset);
      number(block, 24 * j + 12, 12, c.data.length);
    });
    if (i + 21 < stretches.length) block[504] = 1;
    blocks.push(block);
  }
  return Buffer.concat(blocks);
}

function gnuLong(flag: "L" | "K", value: Buffer): Buffer[] {
  const body = Buffer.concat([value, Buffer.alloc(1)]);
  return [header({ name: bytes("././@LongLink"), mode: 0o644, size: body.length, flag }), padded(body)];
}

function paxRecord(key: string, value: Buffer): Buffer {
  const rest = value.length + Buffer.byteLength(key) + 3;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return Buffer.concat([bytes(`${length} ${key}=`), value, bytes("\n")]);
}

function padded(body: Buffer): Buffer {
  const rest = body.length % BLOCK;
  return rest === 0 ? body : Buffer.concat([body, Buffer.alloc(BLOCK - rest)]);
}

function bytes(value: string | Buffer): Buffer {
  return typeof value === "string" ? Buffer.from(value) : value;
}
