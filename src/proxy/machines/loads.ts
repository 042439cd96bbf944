/** Counts what machines' services have to do for this proxy. */
export class Loads {
  readonly #counts = new Map<string, number>();

  of(machineId: string, internalPort: number): number {
    return this.#counts.get(`${machineId}:${internalPort}`) ?? 0;
  }

  add(machineId: string, internalPort: number): void {
    this.#counts.set(`${machineId}:${internalPort}`, this.of(machineId, internalPort) + 1);
  }

  remove(machineId: string, internalPort: number): void {
    const left = this.of(machineId, internalPort) - 1;
    if (left > 0) this.#counts.set(`${machineId}:${internalPort}`, left);
    else this.#counts.delete(`${machineId}:${internalPort}`);
  }
}
