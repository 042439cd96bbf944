import type { TarEntry } from "../../../src/imagecache/tar/entry.ts";
import { NO_RECORDS, parsePax } from "../../../src/imagecache/tar/pax.ts";
import { TarReader } from "../../../src/imagecache/tar/reader.ts";
import { encodeEntry, TAR_END } from "../../../src/imagecache/tar/writer.ts";
import { blaming, hold, type Target } from "../target.ts";

const BLOCK = 512;
const WORDS = [
  ...[
    "ustar\u000000",
    "ustar  \0",
    "path",
    "linkpath",
    "size",
    "uid",
    "gid",
    "mtime",
    "./",
    "/",
    "..",
    ".wh.",
    ".wh..wh..opq",
  ],
  ...[
    "SCHILY.xattr.user.a",
    "LIBARCHIVE.xattr.user.b",
    "%41",
    "=",
    "\n",
    "20 path=a\n",
    "11 size=1\n",
    "30 mtime=1.5\n",
  ],
  ...[
    "GNU.sparse.major",
    "GNU.sparse.map",
    "GNU.sparse.name",
    "GNU.sparse.realsize",
    "GNU.sparse.offset",
    "GNU.sparse.numbytes",
  ],
  ...["0,512", "0000000", "0001000\0", "7777777"],
  ...[Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 1]), Buffer.from([0xff, 0xff, 0xff, 0xff]), Buffer.alloc(BLOCK)],
];

interface Read {
  readonly entries: TarEntry[];
  readonly events: string[];
  readonly dataBytes: number;
}

export const tarTarget: Target = {
  name: "tar",
  words: WORDS,
  repair: sealHeaders,
  run: (input) => {
    const whole = blaming(() => read(input, input.length));
    const pieces = blaming(() => read(input, 1 + (input[0] ?? 0) * 3));
    hold((whole === undefined) === (pieces === undefined), "an archive is read the same in pieces");
    if (whole === undefined || pieces === undefined) return;
    hold(String(whole.events) === String(pieces.events), "events are the same in pieces");
    hold(whole.dataBytes <= input.length, "there is no more data than input");
    hold(whole.entries.length <= input.length / BLOCK, "each entry takes a block");
    for (const entry of whole.entries) {
      hold(entry.path.length <= 4096 && entry.link.length <= 4096, "names are bounded");
      hold(entry.xattrs.bytes <= 48 * 1024 && entry.xattrs.list.length <= 256, "attributes are bounded");
      roundTrip(entry);
    }
  },
};

export const paxTarget: Target = {
  name: "pax",
  words: WORDS,
  repair: measureRecords,
  run: (input) => {
    const records = blaming(() => parsePax(input, NO_RECORDS, (input[0] ?? 0) % 2 === 0));
    if (records === undefined) return;
    const bytes = records.xattrs.list.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
    hold(records.xattrs.bytes === bytes, "bytes of attributes are counted");
    hold(bytes <= input.length, "there are no more attributes than input");
    hold(records.values.size <= 16, "few values are kept");
  },
};

function read(input: Buffer, piece: number): Read {
  const reader = new TarReader();
  const entries: TarEntry[] = [];
  const events: string[] = [];
  let dataBytes = 0;
  let run = { kind: "", length: 0 };
  const add = (kind: string, length: number) => {
    if (kind === run.kind) run.length += length;
    else {
      events.push(`${run.kind} ${run.length}`);
      run = { kind, length };
    }
  };
  for (let at = 0; at < input.length; at += piece) {
    for (const event of reader.push(input.subarray(at, at + piece))) {
      if (event.kind === "entry") {
        entries.push(event.entry);
        add(`entry ${event.entry.path} ${event.entry.type} ${entries.length}`, 0);
      } else if (event.kind === "data") {
        dataBytes += event.bytes.length;
        add("data", event.bytes.length);
      } else add("hole", event.length);
    }
  }
  reader.finish();
  events.push(`${run.kind} ${run.length}`);
  return { entries, events, dataBytes };
}

/** What we write of an entry is read as the same entry. */
function roundTrip(entry: TarEntry): void {
  const path = entry.path.replace(/^\/+|\/+$/g, "");
  // A name of our own begins with `./`.
  if (path === "" || path.length > 4000 || entry.path.length > 4000) return;
  const end = entry.type === "file" ? { ...entry, size: 0 } : entry;
  const { entries } = read(Buffer.concat([encodeEntry(end, path), TAR_END]), 1 << 20);
  const [back] = entries;
  hold(entries.length === 1 && back !== undefined, "an entry is written as one");
  hold(back?.type === entry.type && back.mode === entry.mode, "type and mode come back");
  hold(back?.uid === entry.uid && back.gid === entry.gid, "owners come back");
  hold(back?.path.replace(/\/$/, "") === `./${path}`, "the path comes back");
  hold(back?.link === entry.link, "the link comes back");
}

/** Puts the checksum of each block that looks like a header right. */
export function sealHeaders(input: Buffer): Buffer {
  const tar = Buffer.from(input);
  for (let at = 0; at + BLOCK <= tar.length; at += BLOCK) {
    const block = tar.subarray(at, at + BLOCK);
    if (!block.toString("latin1", 257, 262).startsWith("ustar")) continue;
    block.fill(32, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  }
  return tar;
}

/** Puts the length of each record right. */
function measureRecords(input: Buffer): Buffer {
  const lines = input.toString("latin1").split("\n").slice(0, -1);
  const records = lines.map((line) => {
    const rest = line.replace(/^\d* ?/, " ");
    const bare = rest.length + 1;
    let length = bare + String(bare).length;
    if (bare + String(length).length !== length) length = bare + String(length).length;
    return `${length}${rest}\n`;
  });
  return Buffer.from(records.join(""), "latin1");
}
