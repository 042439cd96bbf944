/** VMs that are being destroyed in the background. */
export class Teardowns {
  readonly #pending = new Map<string, Map<string, Promise<void>>>();

  /** Number of machines that have a VM being destroyed. */
  get size(): number {
    return this.#pending.size;
  }

  /** Whether a VM of this machine, or the one given, is being destroyed. */
  has(machineId: string, vmId?: string): boolean {
    const pending = this.#pending.get(machineId);
    return pending !== undefined && (vmId === undefined || pending.has(vmId));
  }

  /** Destroys a VM by `work`, which must not reject, unless it is already being destroyed. */
  begin(machineId: string, vmId: string, work: () => Promise<void>): void {
    const pending = this.#pending.get(machineId) ?? new Map<string, Promise<void>>();
    if (pending.has(vmId)) return;
    const done = work().finally(() => {
      pending.delete(vmId);
      if (pending.size === 0) this.#pending.delete(machineId);
    });
    pending.set(vmId, done);
    this.#pending.set(machineId, pending);
  }

  /** Resolves when the present teardowns of this machine have ended. */
  async of(machineId: string): Promise<void> {
    await Promise.all(this.#pending.get(machineId)?.values() ?? []);
  }

  /** Resolves when one of the present teardowns has ended; at once without any. */
  async any(): Promise<void> {
    if (this.#pending.size > 0) await Promise.race(this.#all());
  }

  /** Resolves when all present teardowns have ended. */
  async all(): Promise<void> {
    await Promise.all(this.#all());
  }

  #all(): Promise<void>[] {
    return [...this.#pending.values()].flatMap((pending) => [...pending.values()]);
  }
}
