/** Work that makes images of a machine local. Requests on the machine do not wait for it. */
export class Pulls {
  readonly #active = new Set<AbortController>();

  get isActive(): boolean {
    return this.#active.size > 0;
  }

  /**
   * Does work until the caller aborts it.
   *
   * @throws the reason of {@link abort}
   */
  async *run<T>(work: (signal: AbortSignal) => AsyncIterable<T>, caller: AbortSignal): AsyncGenerator<T> {
    const aborted = new AbortController();
    this.#active.add(aborted);
    try {
      yield* work(AbortSignal.any([aborted.signal, caller]));
    } catch (err) {
      throw aborted.signal.aborted ? aborted.signal.reason : err;
    } finally {
      this.#active.delete(aborted);
    }
  }

  abort(reason: Error): void {
    for (const each of this.#active) each.abort(reason);
  }
}
