/** One entry of an archive: a directory when it has no data. */
export interface CpioEntry {
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  readonly data?: Buffer;
  /** For a character device: major and minor number. */
  readonly device?: readonly [number, number];
}

const DIRECTORY = 0o040000;
const FILE = 0o100000;
const CHARACTER_DEVICE = 0o020000;

/**
 * Writes a cpio archive in the "newc" format of initramfs. Owner is root and times are zero, so
 * equal input gives equal bytes.
 */
export function writeCpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  for (const [index, entry] of entries.entries()) parts.push(...record(entry, index + 1));
  parts.push(...record({ path: "TRAILER!!!", mode: 0 }, 0));
  return Buffer.concat(parts);
}

function record(entry: CpioEntry, inode: number): Buffer[] {
  const data = entry.data ?? Buffer.alloc(0);
  const name = Buffer.from(`${entry.path}\0`);
  const kind = entry.data ? FILE : entry.device ? CHARACTER_DEVICE : DIRECTORY;
  const [major, minor] = entry.device ?? [0, 0];
  const fields = [
    inode,
    inode === 0 ? 0 : kind | entry.mode,
    ...[0, 0], // owner
    kind === DIRECTORY ? 2 : 1, // links
    0, // time
    data.length,
    ...[0, 0], // device the entry lies on
    ...[major, minor],
    name.length,
    0, // checksum, unused in this kind
  ];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
  const head = Buffer.concat([Buffer.from(header), name]);
  return [head, padding(head.length), data, padding(data.length)];
}

function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}
