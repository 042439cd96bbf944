import { expect } from "vitest";
import { type Pooled, type PoolOptions, WarmPool } from "../../../src/hostd/vmm/qemu/warm-pool/pool.ts";
import type { Shape, WarmDemand } from "../../../src/hostd/vmm/vmm.ts";

/** A shape that tests want many of. */
export const SMALL = { cpus: 1, memoryMb: 256 };
/** A shape that takes much room. */
export const LARGE = { cpus: 2, memoryMb: 1_024 };

/** A VM of the pool's that a test can end. */
export interface FakeVm extends Pooled {
  die(): void;
}

/** A pool with everything around it fake; what happens is written down. */
export class World {
  wanted: Shape[] = [];
  lendableMb = 8_192;
  load = 0;
  unprepared: Shape[] = [];
  /** Replaced by tests that hold a making up, or fail it. */
  making: (signal: AbortSignal) => Promise<void> = async () => {};
  pausing: () => Promise<void> = async () => {};
  lentMb = 0;
  atOnce = 0;
  mostAtOnce = 0;
  readonly made: string[] = [];
  readonly vms: FakeVm[] = [];
  readonly discarded: string[] = [];
  readonly pauses: number[] = [];
  readonly pool: WarmPool<FakeVm>;
  reclaim: (leftMb: number) => void = () => {};

  constructor(more: Partial<PoolOptions<FakeVm>> = {}) {
    this.pool = new WarmPool<FakeVm>({
      memoryMb: 4_096,
      metrics: { waiting() {}, hit() {}, miss() {}, template() {}, lent: (mb) => this.#noteLent(mb) },
      isUnprepared: (shape) => this.unprepared.includes(shape),
      prepare: async (shape) => {
        this.made.push(`template ${shape.memoryMb}`);
        this.unprepared = this.unprepared.filter((each) => each !== shape);
      },
      make: (shape, signal) => this.#make(shape, signal),
      discard: async ({ id }) => void this.discarded.push(id),
      load: () => this.load,
      pause: async (ms) => {
        this.pauses.push(ms);
        await this.pausing();
      },
      ...more,
    });
  }

  open(): void {
    const demand: WarmDemand = {
      shapes: () => this.wanted,
      lend: (megabytes) => megabytes <= this.lendableMb,
      onReclaim: (reclaim) => {
        this.reclaim = reclaim;
      },
    };
    this.pool.open(demand);
  }

  /** Makes the pool look again at what is wanted. */
  look(): void {
    this.pool.begin(SMALL)();
  }

  async has(count: number, shape: Shape = SMALL): Promise<void> {
    await expect.poll(() => this.pool.count(shape)).toBe(count);
  }

  #noteLent(megabytes: number): void {
    this.lentMb = megabytes;
  }

  async #make(shape: Shape, signal: AbortSignal): Promise<FakeVm> {
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    try {
      await this.making(signal);
    } finally {
      this.atOnce -= 1;
    }
    const id = `${shape.memoryMb}-${this.made.length + 1}`;
    this.made.push(id);
    let die = (): void => {};
    const exited = new Promise<void>((resolve) => {
      die = resolve;
    });
    const vm = { id, shape, vm: { exited }, die };
    this.vms.push(vm);
    return vm;
  }
}
