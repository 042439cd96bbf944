/** VMs that are being destroyed beside the calls that caused it. */
export class Teardowns {
  /** By machine, then by VM. */
  readonly #pending = new Map<string, Map<string, Promise<void>>>();

  /** How many machines have VMs that are being destroyed. */
  get size(): number {
    return this.#pending.size;
  }

  /** Whether a VM of this machine is being destroyed; the one of that id, if it is given. */
  has(machineId: string, vmId?: string): boolean {
    const pending = this.#pending.get(machineId);
    return pending !== undefined && (vmId === undefined || pending.has(vmId));
  }

  /** Destroys a VM by `work`, which must not reject, unless that is under way already. */
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

  /** Resolves when those of this machine that are now under way are over. */
  async of(machineId: string): Promise<void> {
    await Promise.all(this.#pending.get(machineId)?.values() ?? []);
  }

  /** Resolves when any of those now under way is over; at once when there are none. */
  async any(): Promise<void> {
    if (this.#pending.size > 0) await Promise.race(this.#all());
  }

  /** Resolves when all of those now under way are over. */
  async all(): Promise<void> {
    await Promise.all(this.#all());
  }

  #all(): Promise<void>[] {
    return [...this.#pending.values()].flatMap((pending) => [...pending.values()]);
  }
}
