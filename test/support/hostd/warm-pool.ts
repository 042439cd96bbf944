import { expect } from "vitest";
import { type PooledVm, type PoolOptions, WarmPool } from "../../../src/hostd/vmm/qemu/warm-pool/pool.ts";
import type { Shape, WarmDemand } from "../../../src/hostd/vmm/vmm.ts";

/** A shape of which many fit. */
export const SMALL = { cpus: 1, memoryMb: 256 };
/** A shape of which few fit. */
export const LARGE = { cpus: 2, memoryMb: 1_024 };

/** A VM of the pool that a test can end. */
export interface FakeVm extends PooledVm {
  die(): void;
}

/** A pool in a fake host, which records what the pool does. */
export class World {
  wanted: Shape[] = [];
  availableMb = 8_192;
  load = 0;
  unprepared: Shape[] = [];
  /** Replaced by tests that delay or fail the making of a VM. */
  making: (signal: AbortSignal) => Promise<void> = async () => {};
  pausing: () => Promise<void> = async () => {};
  reclaimableMb = 0;
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
      metrics: {
        waiting() {},
        hit() {},
        miss() {},
        template() {},
        reclaimable: (mb) => this.#noteReclaimable(mb),
      },
      needsPreparation: (shape) => this.unprepared.includes(shape),
      prepare: async (shape) => {
        this.made.push(`template ${shape.memoryMb}`);
        this.unprepared = this.unprepared.filter((each) => each !== shape);
      },
      make: (shape, signal) => this.#make(shape, signal),
      discard: async ({ vm }) => void this.discarded.push(vm.id),
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
      setReclaimable: (megabytes) => megabytes <= this.availableMb,
      onReclaim: (reclaim) => {
        this.reclaim = reclaim;
      },
    };
    this.pool.open(demand);
  }

  /** Makes the pool check the demand. */
  check(): void {
    this.pool.startBegins(SMALL)();
  }

  async has(count: number, shape: Shape = SMALL): Promise<void> {
    await expect.poll(() => this.pool.count(shape)).toBe(count);
  }

  #noteReclaimable(megabytes: number): void {
    this.reclaimableMb = megabytes;
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
    const vm = { shape, vm: { id, exited }, die };
    this.vms.push(vm);
    return vm;
  }
}
