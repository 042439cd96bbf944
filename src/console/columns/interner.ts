/** Numbers texts in the order in which they first appear, so that a column holds numbers. */
export class Interner {
  readonly values: string[] = [];
  readonly #codes = new Map<string, number>();

  /** Returns the number of a text, a new one if need be. */
  intern(text: string): number {
    const known = this.#codes.get(text);
    if (known !== undefined) return known;
    const code = this.values.length;
    this.values.push(text);
    this.#codes.set(text, code);
    return code;
  }

  /** Returns the number of a text that has appeared; undefined for any other. */
  find(text: string): number | undefined {
    return this.#codes.get(text);
  }

  textOf(code: number | undefined): string {
    return (code === undefined ? undefined : this.values[code]) ?? "";
  }
}
