import type { TarEntry, TarEvent } from "./entry.ts";
import { BLOCK, isZero, readNumber } from "./fields.ts";
import { checkHeader, decodeHeader, type Extras, typeFlag } from "./header.ts";
import { layerFault, shownPath } from "./layer-fault.ts";
import { NO_RECORDS, type PaxRecords, parsePax } from "./pax.ts";
import {
  checkCount,
  checkStretches,
  oldStretches,
  paxStretches,
  SparseMapReader,
  type Stretch,
} from "./sparse.ts";

/** As in Go's reader. Names and headers are shorter. */
const MAX_SPECIAL = 1024 * 1024;
/** Special entries before one entry. Writers need three: two long names and an extended header. */
const MAX_SPECIALS = 100;

type State =
  | { readonly at: "header" }
  /** After one block of zeros. A second one ends the archive. */
  | { readonly at: "zero" }
  | { readonly at: "special"; readonly flag: string; readonly parts: Buffer[] }
  | { readonly at: "old-map"; readonly stretches: Stretch[] }
  | { readonly at: "new-map"; readonly map: SparseMapReader }
  | { readonly at: "content" }
  | { readonly at: "end" };

/**
 * Reads a tar archive as it arrives: v7, ustar, PAX and GNU, with long names, large numbers, binary
 * extended attributes and all forms of sparse files. ADR 8 says why no package does.
 */
export class TarReader {
  #state: State = { at: "header" };
  #global: PaxRecords = NO_RECORDS;
  #extras: Extras = { pax: NO_RECORDS };
  #entry: TarEntry | undefined;
  /** Bytes of content, or of a special entry, that are missing, and of the padding after them. */
  #remaining = 0;
  #padding = 0;
  /** Of a sparse file: its stretches, the next of them, and the position in the file. */
  #stretches: readonly Stretch[] | undefined;
  #next = 0;
  #position = 0;
  readonly #block = Buffer.alloc(BLOCK);
  #filled = 0;
  #specials = 0;
  #specialBytes = 0;

  /** Bytes of all special entries so far: extended headers and long names. */
  get specialBytes(): number {
    return this.#specialBytes;
  }

  /** Takes the next bytes and yields what they complete. Must be iterated to its end. */
  *push(chunk: Buffer): Generator<TarEvent, void, void> {
    let at = 0;
    while (at < chunk.length && this.#state.at !== "end") {
      if (this.#state.at === "content" || this.#state.at === "special") {
        const bytes = chunk.subarray(at, at + this.#remaining);
        at += bytes.length;
        this.#remaining -= bytes.length;
        if (this.#state.at === "special") this.#state.parts.push(Buffer.from(bytes));
        else if (this.#stretches) yield* this.#fill(bytes, this.#stretches);
        else if (bytes.length > 0) yield { kind: "data", bytes };
        if (this.#remaining > 0) return;
        const skipped = Math.min(this.#padding, chunk.length - at);
        this.#padding -= skipped;
        at += skipped;
        if (this.#padding === 0) this.#finishContent();
      } else {
        const block = this.#takeBlock(chunk, at);
        at += block.taken;
        if (block.block) yield* this.#onBlock(block.block);
      }
    }
  }

  /** Must be called after the last bytes. @throws Fault `LAYER_TRUNCATED` when the archive is incomplete */
  finish(): void {
    const whole = this.#state.at === "end" || this.#state.at === "zero" || this.#state.at === "header";
    const dangling = this.#extras.pax !== this.#global || this.#extras.longPath !== undefined;
    if (whole && this.#filled === 0 && !dangling) return;
    const within = this.#entry ? ` within ${shownPath(this.#entry.path)}` : "";
    throw layerFault("LAYER_TRUNCATED", `its archive ends early${within}; build and push the image again`);
  }

  *#onBlock(block: Buffer): Generator<TarEvent, void, void> {
    switch (this.#state.at) {
      case "zero":
      case "header":
        if (isZero(block)) {
          this.#state = { at: this.#state.at === "zero" ? "end" : "zero" };
        } else if (this.#state.at === "zero") {
          throw layerFault("LAYER_CORRUPT", "its archive goes on after a block of zeros");
        } else {
          yield* this.#onHeader(block);
        }
        return;
      case "old-map":
        this.#state.stretches.push(...oldStretches(block, 0, 21));
        checkCount(this.#state.stretches.length);
        if (block[504] === 0) this.#beginSparse(this.#state.stretches);
        return;
      case "new-map": {
        this.#remaining -= BLOCK;
        const stretches = this.#state.map.push(block);
        if (this.#remaining < 0) throw layerFault("LAYER_CORRUPT", "a sparse file's map does not end");
        if (stretches) this.#beginSparse(stretches);
      }
    }
  }

  *#onHeader(block: Buffer): Generator<TarEvent, void, void> {
    checkHeader(block);
    const flag = typeFlag(block);
    if ("xgXLKV".includes(flag)) {
      this.#expect(readNumber(block, 124, 12));
      if (this.#remaining > MAX_SPECIAL) throw tooLarge("bytes", MAX_SPECIAL, this.#remaining);
      if (++this.#specials > MAX_SPECIALS) throw tooLarge("headers", MAX_SPECIALS, this.#specials);
      this.#specialBytes += this.#remaining;
      this.#state = { at: "special", flag, parts: [] };
      if (this.#remaining === 0) this.#finishContent();
      return;
    }
    const { entry, stored, sparse } = decodeHeader(block, this.#extras);
    const { pax } = this.#extras;
    this.#extras = { pax: this.#global };
    this.#specials = 0;
    this.#entry = entry;
    this.#stretches = undefined;
    this.#expect(stored);
    yield { kind: "entry", entry };
    if (sparse === "gnu-old") {
      const stretches = oldStretches(block, 386, 4);
      this.#state = { at: "old-map", stretches };
      if (block[482] === 0) this.#beginSparse(stretches);
    } else if (sparse === "pax-1.0") {
      this.#state = { at: "new-map", map: new SparseMapReader() };
    } else {
      this.#state = { at: "content" };
      if (sparse === "pax") this.#beginSparse(paxStretches(pax) ?? []);
      if (this.#remaining === 0 && !sparse) this.#finishContent();
    }
  }

  #expect(length: number): void {
    if (length < 0) throw layerFault("LAYER_CORRUPT", "a header has a negative size");
    this.#remaining = length;
    this.#padding = (BLOCK - (length % BLOCK)) % BLOCK;
  }

  #beginSparse(stretches: readonly Stretch[]): void {
    this.#stretches = checkStretches(stretches, this.#entry?.size ?? 0, this.#remaining);
    this.#next = 0;
    this.#position = 0;
    this.#state = { at: "content" };
  }

  /** Yields data of a sparse file with the holes around it. */
  *#fill(data: Buffer, stretches: readonly Stretch[]): Generator<TarEvent, void, void> {
    let bytes = data;
    for (let stretch = stretches[this.#next]; stretch !== undefined; stretch = stretches[this.#next]) {
      yield* this.#holeUpTo(Math.max(stretch.offset, this.#position));
      const length = Math.min(stretch.offset + stretch.length - this.#position, bytes.length);
      if (length > 0) yield { kind: "data", bytes: bytes.subarray(0, length) };
      this.#position += length;
      bytes = bytes.subarray(length);
      if (this.#position < stretch.offset + stretch.length) return;
      this.#next++;
    }
    yield* this.#holeUpTo(this.#entry?.size ?? 0);
  }

  *#holeUpTo(offset: number): Generator<TarEvent, void, void> {
    if (offset > this.#position) yield { kind: "hole", length: offset - this.#position };
    this.#position = Math.max(this.#position, offset);
  }

  #finishContent(): void {
    if (this.#state.at === "special") this.#absorb(this.#state.flag, Buffer.concat(this.#state.parts));
    this.#state = { at: "header" };
  }

  /** Keeps a special entry for the entry that follows, or (`g`) for all. */
  #absorb(flag: string, body: Buffer): void {
    const text = () => body.toString("latin1", 0, body.indexOf(0) < 0 ? body.length : body.indexOf(0));
    if (flag === "x" || flag === "X")
      this.#extras = { ...this.#extras, pax: parsePax(body, this.#extras.pax, false) };
    else if (flag === "L") this.#extras = { ...this.#extras, longPath: text() };
    else if (flag === "K") this.#extras = { ...this.#extras, longLink: text() };
    else if (flag === "g") {
      this.#global = parsePax(body, this.#global, true);
      this.#extras = { ...this.#extras, pax: this.#global };
    }
  }

  /** Takes a block out of the chunk, or collects it from several chunks. */
  #takeBlock(chunk: Buffer, at: number): { taken: number; block?: Buffer } {
    if (this.#filled === 0 && chunk.length - at >= BLOCK)
      return { taken: BLOCK, block: chunk.subarray(at, at + BLOCK) };
    const taken = chunk.copy(this.#block, this.#filled, at, at + BLOCK - this.#filled);
    this.#filled += taken;
    if (this.#filled < BLOCK) return { taken };
    this.#filled = 0;
    return { taken, block: this.#block };
  }
}

function tooLarge(what: "bytes" | "headers", limit: number, value: number) {
  const problem =
    what === "bytes"
      ? `it has an extended header of more than ${limit} bytes`
      : `it has more than ${limit} extended headers in a row`;
  return layerFault("LAYER_TOO_LARGE", problem, { limit: `${limit} ${what}`, value: String(value) });
}
