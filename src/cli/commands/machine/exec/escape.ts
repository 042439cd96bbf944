const TILDE = 0x7e;
const DOT = 0x2e;
const ENTER: ReadonlySet<number> = new Set([0x0a, 0x0d]);

/**
 * Finds `~.` at the beginning of a line in what a person types, which leaves a session whose program
 * does not answer, as ssh has it. `~~` is one `~`.
 */
export class EscapeFilter {
  #atLineStart = true;
  #hasTilde = false;

  /** Returns the input for the program, and whether the person leaves. */
  filter(typed: Uint8Array): { readonly bytes: Buffer; readonly leaves: boolean } {
    const kept: number[] = [];
    for (const byte of typed) {
      if (this.#hasTilde) {
        this.#hasTilde = false;
        if (byte === DOT) return { bytes: Buffer.from(kept), leaves: true };
        if (byte !== TILDE) kept.push(TILDE);
      } else if (this.#atLineStart && byte === TILDE) {
        this.#hasTilde = true;
        this.#atLineStart = false;
        continue;
      }
      kept.push(byte);
      this.#atLineStart = ENTER.has(byte);
    }
    return { bytes: Buffer.from(kept), leaves: false };
  }
}
