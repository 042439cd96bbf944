const LEGACY_MAGIC = 0x184c2102;
const MAX_BLOCK = 8 * 1024 * 1024;

/**
 * Decodes LZ4's legacy frame format, in which Linux kernels are packed: a magic number, then blocks of at most 8 MiB, each after its
 * compressed length. `sizeHint` is the expected size of the result in bytes.
 */
export function decodeLz4Legacy(input: Buffer, sizeHint: number): Buffer {
  if (input.length < 4 || input.readUInt32LE(0) !== LEGACY_MAGIC) throw new Error("not an LZ4 legacy frame");
  const output = Buffer.allocUnsafe(sizeHint + MAX_BLOCK);
  let at = 4;
  let written = 0;
  while (at + 4 <= input.length) {
    const length = input.readUInt32LE(at);
    at += 4;
    if (length === LEGACY_MAGIC) continue;
    // The kernel's build appends the unpacked size after the last block.
    if (at === input.length) break;
    if (length === 0 || length > input.length - at)
      throw new Error(`LZ4 block of ${length} bytes is cut short`);
    if (output.length - written < MAX_BLOCK) throw new Error("LZ4 data is larger than announced");
    written = decodeBlock(input.subarray(at, at + length), output, written);
    at += length;
  }
  return output.subarray(0, written);
}

/** Decodes one block into `out` from `start` on; matches may not reach back before `start`. Returns its end. */
function decodeBlock(input: Buffer, out: Buffer, start: number): number {
  const limit = start + MAX_BLOCK;
  let at = 0;
  let to = start;
  const extended = (length: number): number => {
    let total = length;
    if (length !== 15) return total;
    for (let more = 255; more === 255; total += more) {
      more = input[at++] ?? fail("a length is cut short");
    }
    return total;
  };
  for (;;) {
    const token = input[at++] ?? fail("a token is missing");
    const literals = extended(token >> 4);
    if (at + literals > input.length || to + literals > limit) fail("literals reach too far");
    input.copy(out, to, at, at + literals);
    at += literals;
    to += literals;
    if (at === input.length) return to;
    if (at + 2 > input.length) fail("an offset is cut short");
    const offset = input.readUInt16LE(at);
    at += 2;
    const length = extended(token & 15) + 4;
    if (offset === 0 || offset > to - start || to + length > limit) fail("a match reaches too far");
    copyMatch(out, to, offset, length);
    to += length;
  }
}

/** Copies a match; one that overlaps what it writes repeats. */
function copyMatch(out: Buffer, to: number, offset: number, length: number): void {
  if (offset >= length) {
    out.copyWithin(to, to - offset, to - offset + length);
    return;
  }
  for (let i = to; i < to + length; i++) out[i] = out[i - offset] ?? 0;
}

function fail(what: string): never {
  throw new Error(`LZ4 block is damaged: ${what}`);
}
