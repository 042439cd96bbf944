/**
 * Columns of numbers that grow together, in a fifth of the memory of an array of objects. They grow in
 * place, because copies would double the memory for an image of a million files.
 */
export class Table<const C extends Readonly<Record<string, ColumnType>>> {
  readonly columns: { readonly [K in keyof C]: InstanceType<C[K]> };
  readonly #buffers: { readonly buffer: ArrayBuffer; readonly width: number }[] = [];
  #rows = 0;

  constructor(types: C) {
    const made = Object.entries(types).map(([name, Type]) => {
      const width = Type.BYTES_PER_ELEMENT;
      // Reserves addresses, not memory. An array over a resizable buffer grows with it.
      const buffer = new ArrayBuffer(0, { maxByteLength: MAX_ROWS * width });
      this.#buffers.push({ buffer, width });
      return [name, new Type(buffer)];
    });
    // One column per entry of `types`.
    this.columns = Object.fromEntries(made) as { readonly [K in keyof C]: InstanceType<C[K]> };
  }

  /** Grows the columns to row `index`, filled with zeros. @throws RangeError beyond two million rows */
  grow(index: number): void {
    if (index < this.#rows) return;
    this.#rows = index + STEP;
    for (const { buffer, width } of this.#buffers) buffer.resize(this.#rows * width);
  }
}

type ColumnType =
  | Float64ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | Uint16ArrayConstructor
  | Uint8ArrayConstructor;

/** Twice the entries that an image may have, since one entry can imply thousands of directories. */
const MAX_ROWS = 2 ** 21;
const STEP = 4096;

export class BytePool {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Stores a string of at most 64 KiB and returns its position. */
  add(text: string): number {
    const room = CHUNK - (this.#length % CHUNK);
    // A string lies within one chunk.
    if (text.length > room) this.#length += room;
    const at = this.#length;
    const index = Math.floor(at / CHUNK);
    this.#chunks[index] ??= Buffer.alloc(CHUNK);
    this.#chunks[index].write(text, at % CHUNK, "latin1");
    this.#length += text.length;
    return at;
  }

  get(at: number, length: number): string {
    const start = at % CHUNK;
    return this.#chunks[Math.floor(at / CHUNK)]?.toString("latin1", start, start + length) ?? "";
  }

  /** Whether the string at a position is `text`. */
  equals(at: number, length: number, text: string): boolean {
    const chunk = this.#chunks[Math.floor(at / CHUNK)];
    if (length !== text.length || chunk === undefined) return false;
    const start = at % CHUNK;
    for (let i = 0; i < length; i++) if (chunk[start + i] !== text.charCodeAt(i)) return false;
    return true;
  }
}

const CHUNK = 64 * 1024;
