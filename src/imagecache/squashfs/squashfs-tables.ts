import { type FileHandle, open } from "node:fs/promises";

/** Size of a metadata block, and the bit in its header for "not compressed". */
const METADATA = 8192;
const PLAIN = 0x8000;
const NO_TABLE = 0xffff_ffff_ffff_ffffn;

/** A table of a squashfs: metadata blocks, and an index of their addresses. */
interface TableAt {
  readonly index: bigint;
  readonly bytes: number;
}

/**
 * Stores blocks of small tables (ids, fragments, xattrs) plain when compression has made them larger.
 *
 * tar2sqfs 1.2.0 stores such blocks compressed. The kernel reads them, but to unsquashfs 4.5 the image is
 * corrupt. A plain block is shorter and stays at its address, so nothing else moves. Can be removed when
 * `unsquashfs -ll` reads an image with a single owner as tar2sqfs has written it.
 */
export async function tidyTables(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    const superblock = await readAt(file, 0n, 96);
    for (const table of await findTables(file, superblock)) await tidy(file, table);
  } finally {
    await file.close();
  }
}

async function findTables(file: FileHandle, superblock: Buffer): Promise<TableAt[]> {
  const fragments = superblock.readUInt32LE(16);
  const ids = superblock.readUInt16LE(26);
  const xattrs = superblock.readBigUInt64LE(56);
  const tables = [
    { index: superblock.readBigUInt64LE(48), bytes: ids * 4 },
    { index: superblock.readBigUInt64LE(80), bytes: fragments * 16 },
  ];
  if (xattrs !== NO_TABLE) {
    const count = (await readAt(file, xattrs, 16)).readUInt32LE(8);
    tables.push({ index: xattrs + 16n, bytes: count * 16 });
  }
  return tables.filter((table) => table.index !== NO_TABLE && table.bytes > 0);
}

async function tidy(file: FileHandle, { index, bytes }: TableAt): Promise<void> {
  const blocks = Math.ceil(bytes / METADATA);
  const addresses = await readAt(file, index, blocks * 8);
  for (let i = 0; i < blocks; i++) {
    const at = addresses.readBigUInt64LE(i * 8);
    const length = Math.min(METADATA, bytes - i * METADATA);
    const header = (await readAt(file, at, 2)).readUInt16LE(0);
    if ((header & PLAIN) !== 0 || header <= length) continue;
    const block = Buffer.alloc(2 + length);
    block.writeUInt16LE(PLAIN | length, 0);
    unpackLz4(await readAt(file, at + 2n, header)).copy(block, 2);
    await file.write(block, 0, block.length, Number(at));
  }
}

async function readAt(file: FileHandle, at: bigint, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, Number(at));
  if (bytesRead < length) throw new Error("the squashfs ends before its own tables do");
  return buffer;
}

/** Unpacks an lz4 block: pairs of literals and a copy of earlier output. */
function unpackLz4(packed: Buffer): Buffer {
  const out: number[] = [];
  let at = 0;
  const more = (nibble: number): number => {
    let length = nibble;
    for (let byte = nibble === 15 ? 255 : 0; byte === 255; ) {
      byte = packed[at++] ?? 0;
      length += byte;
    }
    return length;
  };
  while (at < packed.length) {
    const token = packed[at++] ?? 0;
    for (let n = more(token >> 4); n > 0; n--) out.push(packed[at++] ?? 0);
    if (at >= packed.length) break;
    const distance = packed.readUInt16LE(at);
    at += 2;
    for (let n = more(token & 15) + 4; n > 0; n--) out.push(out[out.length - distance] ?? 0);
  }
  return Buffer.from(out);
}
