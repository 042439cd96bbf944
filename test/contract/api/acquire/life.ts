/** The life of an api. It dies at a step: its requests are carried out, and it gets no more answers. */
export class Life {
  readonly #dead = Promise.withResolvers<void>();
  #left: number;

  /** @param steps calls, before and after each of which it may die; infinite: it lives on */
  constructor(steps: number) {
    this.#left = steps;
  }

  /** Resolves when it is dead. */
  get end(): Promise<void> {
    return this.#dead.promise;
  }

  async step(): Promise<void> {
    this.#left -= 1;
    if (this.#left > 0) return;
    this.#dead.resolve();
    await new Promise(() => {});
  }

  /** Makes every method of a store one that it may die before and after. */
  around<T extends object>(store: T): T {
    return new Proxy(store, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== "function") return method;
        return async (...args: unknown[]) => {
          await this.step();
          const result: unknown = await method.apply(target, args);
          await this.step();
          return result;
        };
      },
    });
  }
}
