import type { Life } from "../world/world.ts";

/** The stops that hosts have and have not answered. */
export class StopsUnderWay {
  readonly #lives = new WeakMap<Life, Map<string, number>>();

  has(life: Life, machineId: string): boolean {
    return this.#of(life, machineId) > 0;
  }

  /** Counts a stop until `work` has ended. */
  async during<T>(life: Life, machineId: string, work: () => Promise<T>): Promise<T> {
    this.#add(life, machineId, 1);
    try {
      return await work();
    } finally {
      this.#add(life, machineId, -1);
    }
  }

  #of(life: Life, machineId: string): number {
    return this.#lives.get(life)?.get(machineId) ?? 0;
  }

  #add(life: Life, machineId: string, count: number): void {
    const machines = this.#lives.get(life) ?? new Map<string, number>();
    this.#lives.set(life, machines.set(machineId, this.#of(life, machineId) + count));
  }
}
