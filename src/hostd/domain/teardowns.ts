/** Work that frees what ended machines still hold, done beside the calls that caused it. At most one for a machine. */
export class Teardowns {
  readonly #pending = new Map<string, Promise<void>>();

  /** How many are under way. */
  get size(): number {
    return this.#pending.size;
  }

  /** Whether something of this machine is being freed. */
  has(machineId: string): boolean {
    return this.#pending.has(machineId);
  }

  /** Begins one. `work` must not reject. */
  begin(machineId: string, work: () => Promise<void>): void {
    const before = this.#pending.get(machineId);
    const done: Promise<void> = (before ?? Promise.resolve()).then(work).finally(() => {
      if (this.#pending.get(machineId) === done) this.#pending.delete(machineId);
    });
    this.#pending.set(machineId, done);
  }

  /** Resolves when nothing of this machine is being freed. */
  of(machineId: string): Promise<void> {
    return this.#pending.get(machineId) ?? Promise.resolve();
  }

  /** Resolves when any of those now under way is over; at once when there are none. */
  any(): Promise<void> {
    return Promise.race(this.#pending.size > 0 ? this.#pending.values() : [Promise.resolve()]);
  }

  /** Resolves when all of those now under way are over. */
  async all(): Promise<void> {
    await Promise.all(this.#pending.values());
  }
}
