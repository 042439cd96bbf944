/** Bounds how many things each holder has at once. */
export class Concurrency {
  readonly limit: number;
  readonly #refusal: (holder: string, limit: number) => Error;
  readonly #held = new Map<string, number>();

  /** @param refusal makes the error for one more than `limit` */
  constructor(limit: number, refusal: (holder: string, limit: number) => Error) {
    this.limit = limit;
    this.#refusal = refusal;
  }

  /** Takes one for a holder. Returns a function that gives it back; safe to call twice. @throws what `refusal` makes */
  take(holder: string): () => void {
    const held = this.#held.get(holder) ?? 0;
    if (held >= this.limit) throw this.#refusal(holder, this.limit);
    this.#held.set(holder, held + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const left = (this.#held.get(holder) ?? 0) - 1;
      if (left > 0) this.#held.set(holder, left);
      else this.#held.delete(holder);
    };
  }

  /** How many all holders have together. */
  get total(): number {
    let total = 0;
    for (const held of this.#held.values()) total += held;
    return total;
  }
}
