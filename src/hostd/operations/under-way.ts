/** Counts the operations of a kind that are under way on a host. */
export class UnderWay {
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Counts an operation until it ends. Returns it. */
  track<T>(operation: Promise<T>): Promise<T> {
    this.#count += 1;
    const ended = (): void => {
      this.#count -= 1;
    };
    operation.then(ended, ended);
    return operation;
  }
}
