import type { SavedVm } from "../../../src/hostd/vmm/vmm.ts";
import type { Ending } from "../machines/programs.ts";

/** A program that stands still: what a saved VM goes on with. */
export interface Paused {
  readonly env: Readonly<Record<string, string>>;
  /** How it ends by itself, and after how long from here; undefined: not at all. */
  readonly ending: Ending | undefined;
}

/** A VM on a host's disk, or as much of it as was written. */
export interface Saved extends Paused {
  readonly megabytes: number;
  readonly isWhole: boolean;
}

const MB = 1024 * 1024;

/** The saved VMs of a host, by name. They outlive hostd. */
export class SavedVms {
  readonly #all = new Map<string, Saved>();

  /** As much of one as there is. */
  get(name: string): Saved | undefined {
    return this.#all.get(name);
  }

  set(name: string, saved: Saved): void {
    this.#all.set(name, saved);
  }

  delete(name: string): void {
    this.#all.delete(name);
  }

  /** Removes one that hostd has no use for. */
  drop(name: string): void {
    this.delete(name);
  }

  names(): readonly string[] {
    return [...this.#all.keys()];
  }

  /** One that hostd takes for whole. */
  usable(name: string): Saved | undefined {
    const saved = this.#all.get(name);
    return saved && this.isComplete(saved) ? saved : undefined;
  }

  list(): readonly SavedVm[] {
    return this.names().flatMap((name) => {
      const saved = this.usable(name);
      return saved ? [{ name, bytes: saved.megabytes * MB }] : [];
    });
  }

  /** Removes what saves of an earlier hostd did not complete. */
  dropDrafts(): void {
    for (const [name, saved] of this.#all) if (!this.isComplete(saved)) this.#all.delete(name);
  }

  protected isComplete({ isWhole }: Saved): boolean {
    return isWhole;
  }
}
