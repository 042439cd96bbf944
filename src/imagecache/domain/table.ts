/**
 * Columns of numbers that grow together: what an array of objects would be, at a fifth of the memory. Images of a
 * million files are indexed in a process that must stay small.
 */
export class Table<const C extends Readonly<Record<string, ColumnType>>> {
  /** The columns, by name. Fetch anew after {@link grow}. */
  columns: { readonly [K in keyof C]: InstanceType<C[K]> };
  readonly #types: C;
  #capacity: number;

  constructor(types: C, capacity = 1024) {
    this.#types = types;
    this.#capacity = capacity;
    this.columns = this.#allocate();
  }

  /** Makes room for row `index`, which starts as zeros. */
  grow(index: number): void {
    if (index < this.#capacity) return;
    while (index >= this.#capacity) this.#capacity = Math.ceil(this.#capacity * 1.5);
    const old = this.columns;
    this.columns = this.#allocate();
    for (const name in this.#types) this.columns[name].set(old[name]);
  }

  #allocate(): { readonly [K in keyof C]: InstanceType<C[K]> } {
    const made = Object.entries(this.#types).map(([name, Type]) => [name, new Type(this.#capacity)]);
    // One column per entry of `types`, which is what the type says.
    return Object.fromEntries(made) as { readonly [K in keyof C]: InstanceType<C[K]> };
  }
}

type ColumnType =
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | Uint16ArrayConstructor
  | Uint8ArrayConstructor;

/** Strings of bytes, one after the other, without an object for each. */
export class BytePool {
  #bytes = Buffer.allocUnsafe(64 * 1024);
  #length = 0;

  /** Stores a Latin-1 string; returns where. */
  add(text: string): number {
    const at = this.#length;
    if (at + text.length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(Math.ceil(this.#bytes.length * 1.5), at + text.length));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    this.#bytes.write(text, at, "latin1");
    this.#length = at + text.length;
    return at;
  }

  /** The string stored there. */
  get(at: number, length: number): string {
    return this.#bytes.toString("latin1", at, at + length);
  }

  /** Whether the string stored there is `text`. */
  equals(at: number, length: number, text: string): boolean {
    if (length !== text.length) return false;
    for (let i = 0; i < length; i++) if (this.#bytes[at + i] !== text.charCodeAt(i)) return false;
    return true;
  }
}
