import { layerFault } from "../tar/layer-fault.ts";

const FRAME = 0xfd2fb528;
/** The low four bits are free. */
const SKIPPABLE = 0x184d2a50;
const RLE = 1;
const RESERVED = 3;

/** What is expected: a header of some bytes, or content, which is passed over. */
type State = { readonly left: number; readonly next: (header: Buffer) => State };

/**
 * Cuts zstd data at the ends of its frames (RFC 8878, 3.1), without decoding it. Node's decoder takes all
 * frames when none shares a chunk with another, and otherwise ends after the first.
 */
export class ZstdFrames {
  #state: State = MAGIC;
  readonly #header = Buffer.alloc(8);
  #filled = 0;

  /** Takes the next bytes and yields all of them. @throws Fault `LAYER_CORRUPT` */
  *push(chunk: Buffer): Generator<Buffer, void, void> {
    let from = 0;
    for (let at = 0; at < chunk.length; ) {
      const taken = Math.min(this.#state.left - this.#filled, chunk.length - at);
      // Only headers fit.
      if (this.#filled < this.#header.length) chunk.copy(this.#header, this.#filled, at, at + taken);
      this.#filled += taken;
      at += taken;
      while (this.#filled === this.#state.left) {
        this.#filled = 0;
        this.#state = this.#state.next(this.#header);
      }
      if (this.#state !== MAGIC || this.#filled > 0) continue;
      yield chunk.subarray(from, at);
      from = at;
    }
    if (from < chunk.length) yield chunk.subarray(from);
  }
}

const MAGIC: State = {
  left: 4,
  next: (header) => {
    const magic = header.readUInt32LE(0);
    if (magic === FRAME) return DESCRIPTOR;
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) return SKIPPABLE_SIZE;
    throw corrupt("other data follow its last frame");
  },
};

const SKIPPABLE_SIZE: State = { left: 4, next: (header) => content(header.readUInt32LE(0), MAGIC) };

const DESCRIPTOR: State = {
  left: 1,
  next: (header) => {
    const descriptor = header[0] ?? 0;
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const dictionaryId = [0, 1, 2, 4][descriptor & 3] ?? 0;
    const contentSize = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
    const rest = (isSingleSegment ? 0 : 1) + dictionaryId + contentSize;
    return content(rest, block((descriptor & 4) !== 0));
  },
};

function block(hasChecksum: boolean): State {
  const state: State = {
    left: 3,
    next: (header) => {
      const bits = header.readUIntLE(0, 3);
      const type = (bits >> 1) & 3;
      if (type === RESERVED) throw corrupt("a block is of a reserved type");
      const end = hasChecksum ? content(4, MAGIC) : MAGIC;
      return content(type === RLE ? 1 : bits >> 3, (bits & 1) === 0 ? state : end);
    },
  };
  return state;
}

function content(left: number, following: State): State {
  return left === 0 ? following : { left, next: () => following };
}

function corrupt(problem: string) {
  return layerFault(
    "LAYER_CORRUPT",
    `its compressed data is damaged: ${problem}; build and push the image again`,
  );
}
