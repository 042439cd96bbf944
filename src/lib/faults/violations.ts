import { Fault, invalid, type Violation } from "./fault.ts";

/** Collects everything that is wrong with a request, so that its caller hears all of it at once. */
export class Violations {
  readonly #found: Violation[] = [];

  /** What was found, in its order. */
  get all(): readonly Violation[] {
    return this.#found;
  }

  /** Whether anything is wrong. */
  get any(): boolean {
    return this.#found.length > 0;
  }

  /** Adds a violation; nothing when the description is undefined. */
  add(field: string, description: string | undefined): void {
    if (description !== undefined) this.#found.push({ field, description });
  }

  /** Adds a violation unless the condition holds. */
  check(holds: boolean, field: string, description: string): void {
    if (!holds) this.add(field, description);
  }

  /** Returns what `parse` returns; when it throws a fault with violations, adds them and returns undefined. */
  collect<T>(parse: () => T): T | undefined {
    try {
      return parse();
    } catch (err) {
      if (!(err instanceof Fault) || err.violations.length === 0) throw err;
      this.#found.push(...err.violations);
      return undefined;
    }
  }

  /** The error INVALID_ARGUMENT / `INVALID_FIELDS` with everything found. */
  fault(): Fault {
    return invalid(this.#found);
  }

  /** @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS` with everything found, if anything is wrong */
  throwIfAny(): void {
    if (this.any) throw this.fault();
  }
}
