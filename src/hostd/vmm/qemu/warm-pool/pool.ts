import { availableParallelism, loadavg } from "node:os";
import { describeError, logger } from "../../../../lib/runtime/log.ts";
import { endsWithin, sleep } from "../../../../lib/runtime/wait.ts";
import type { PoolMetrics } from "../../pool-metrics.ts";
import type { Shape, WarmDemand } from "../../vmm.ts";
import { affordable, type RecentStart, shapeKey, wantedVms } from "./pool-policy.ts";
import { Refills } from "./refills.ts";

export interface PooledVm {
  readonly shape: Shape;
  readonly vm: { readonly id: string; readonly exited: Promise<unknown> };
}

export interface PoolOptions<V extends PooledVm> {
  readonly memoryMb: number;
  readonly metrics: PoolMetrics;
  /**
   * Whether `prepare` must run before VMs of a shape are made, even if none fits into `memoryMb`.
   */
  readonly needsPreparation: (shape: Shape) => boolean;
  readonly prepare: (shape: Shape, signal: AbortSignal) => Promise<void>;
  /** Makes a warm VM; leaves nothing behind when it fails. */
  readonly make: (shape: Shape, signal: AbortSignal) => Promise<V>;
  readonly discard: (vm: V) => Promise<void>;
  /** Returns the number of runnable processes per CPU. Default: the host's load average. */
  readonly load?: () => number;
  /** Waits. Resolves early when the signal aborts. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const RECENT_MS = 10 * 60_000;
const MAX_RECENT = 512;
const CHECK_INTERVAL_MS = 2_000;
/** Pause between a start and the next VM, which would slow down what follows the start. */
const AFTER_START_MS = 100;
/** Pause after a failure, first and longest. */
const RETRY_MS = { first: 1_000, longest: 60_000 };
/** Further pause on a busy host: per runnable process and CPU, and longest. */
const LOAD_PAUSE_MS = { each: 150, longest: 3_000 };

/**
 * Holds warm VMs, by shape. Makes one at a time, while no start runs, and ends those that nobody
 * needs any more or whose memory is reclaimed.
 */
export class WarmPool<V extends PooledVm> {
  readonly #options: Required<PoolOptions<V>>;
  readonly #waiting = new Map<string, { readonly shape: Shape; readonly vms: V[] }>();
  readonly #recent: RecentStart[] = [];
  readonly #refills = new Refills();
  readonly #discarding = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #demand: WarmDemand | undefined;
  #making: { readonly shape: Shape; readonly abort: AbortController } | undefined;
  #work: Promise<void> = Promise.resolve();
  #starts = 0;
  #wake: () => void = () => {};

  constructor(options: PoolOptions<V>) {
    this.#options = { load: hostLoad, pause: sleep, ...options };
  }

  open(demand: WarmDemand): void {
    if (this.#demand) return;
    this.#demand = demand;
    demand.onReclaim((leftMb) => this.#shrink(leftMb));
    this.#work = this.#run(demand);
  }

  count(shape?: Shape): number {
    if (shape) return this.#waiting.get(shapeKey(shape))?.vms.length ?? 0;
    let count = 0;
    for (const { vms } of this.#waiting.values()) count += vms.length;
    return count;
  }

  /** Notes that a start begins. Call the result, once or more, when it has ended. */
  startBegins(shape: Shape): () => void {
    this.#recent.push({ shape, atMs: performance.now() });
    if (this.#recent.length > MAX_RECENT) this.#recent.shift();
    this.#starts += 1;
    let hasEnded = false;
    return () => {
      if (hasEnded) return;
      hasEnded = true;
      this.#starts -= 1;
      // After the answer to the start.
      setImmediate(() => this.#wake());
    };
  }

  /** Takes the oldest VM out of the pool. */
  take(shape: Shape): V | undefined {
    const vm = this.#waiting.get(shapeKey(shape))?.vms.shift();
    if (!vm) return undefined;
    this.#refills.taken(shape);
    this.#changed(shape);
    return vm;
  }

  /** Returns how long a VM that was taken has taken to be replaced. Each time once; undefined: none is left. */
  nextRefillMs(shape: Shape): number | undefined {
    return this.#refills.next(shape);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#making?.abort.abort(new Error("the pool is closing"));
    await this.#work;
    for (const { vms } of this.#waiting.values()) for (const vm of vms.splice(0)) this.#discard(vm);
    await Promise.all(this.#discarding);
  }

  async #run(demand: WarmDemand): Promise<void> {
    const { signal } = this.#closing;
    const { load, pause } = this.#options;
    let retryMs = RETRY_MS.first;
    while (!signal.aborted) {
      const next = this.#next(demand);
      if (!next || this.#starts > 0) {
        await this.#change();
        continue;
      }
      await pause(AFTER_START_MS + Math.min(LOAD_PAUSE_MS.longest, load() * LOAD_PAUSE_MS.each), signal);
      if (this.#starts > 0 || signal.aborted) continue;
      if (await this.#tryMake(next)) {
        retryMs = RETRY_MS.first;
      } else {
        await pause(retryMs, signal);
        retryMs = Math.min(retryMs * 2, RETRY_MS.longest);
      }
    }
  }

  /** Ends the VMs that are not needed and returns a shape that lacks one. */
  #next(demand: WarmDemand): Shape | undefined {
    const oldest = performance.now() - RECENT_MS;
    while ((this.#recent[0]?.atMs ?? oldest) < oldest) this.#recent.shift();
    const wanted = wantedVms(demand.shapes(), this.#recent);
    const targets = affordable(wanted, this.#options.memoryMb);
    for (const { shape, vms } of this.#waiting.values()) {
      const target = targets.find((each) => shapeKey(each.shape) === shapeKey(shape))?.count ?? 0;
      if (vms.length >= target) this.#refills.full(shape);
      if (vms.length <= target) continue;
      for (const vm of vms.splice(target)) this.#discard(vm);
      this.#changed(shape);
    }
    const unprepared = wanted.find(({ shape }) => this.#options.needsPreparation(shape) && this.#fits(shape));
    const lacking = targets.find(({ shape, count }) => this.count(shape) < count && this.#fits(shape));
    return (unprepared ?? lacking)?.shape;
  }

  #fits(shape: Shape): boolean {
    const fits = this.#demand?.setReclaimable(this.#usedMb() + shape.memoryMb) ?? false;
    this.#reportMemory();
    return fits;
  }

  /** Makes what comes next for a shape. False: it failed. */
  async #tryMake(shape: Shape): Promise<boolean> {
    if (!this.#reportMemory(shape.memoryMb)) return true;
    const abort = new AbortController();
    this.#making = { shape, abort };
    try {
      if (this.#options.needsPreparation(shape)) {
        await this.#options.prepare(shape, abort.signal);
        return true;
      }
      const made = await this.#options.make(shape, abort.signal);
      this.#making = undefined;
      if (abort.signal.aborted) this.#discard(made);
      else this.#add(made);
      return true;
    } catch (err) {
      if (!abort.signal.aborted) logger.warn("a warm VM could not be made", { error: describeError(err) });
      return abort.signal.aborted;
    } finally {
      if (this.#making?.abort === abort) this.#making = undefined;
      this.#changed(shape);
    }
  }

  #add(made: V): void {
    const { shape, vm } = made;
    const key = shapeKey(shape);
    const vms = this.#waiting.get(key)?.vms ?? [];
    this.#waiting.set(key, { shape, vms });
    vms.push(made);
    this.#refills.added(shape);
    void vm.exited.then(() => {
      const index = vms.indexOf(made);
      if (index < 0) return;
      vms.splice(index, 1);
      this.#changed(shape);
      this.#discard(made);
    });
  }

  /** Ends VMs until the others fit into `leftMb`: first the one being made, then the newest. */
  #shrink(leftMb: number): void {
    if (this.#usedMb() > leftMb) {
      this.#making?.abort.abort(new Error("its memory is reclaimed"));
      this.#making = undefined;
    }
    for (const { shape, vms } of this.#waiting.values()) {
      while (vms.length > 0 && this.#usedMb() > leftMb) {
        const vm = vms.pop();
        if (vm) this.#discard(vm);
      }
      this.#options.metrics.waiting(shape, vms.length);
    }
    this.#reportMemory();
  }

  #discard(vm: V): void {
    const { id } = vm.vm;
    const work = this.#options
      .discard(vm)
      .catch((err: unknown) => {
        logger.warn("a warm VM could not be ended", { vm_id: id, error: describeError(err) });
      })
      .finally(() => this.#discarding.delete(work));
    this.#discarding.add(work);
  }

  /** Tells the host how much memory is reclaimable. False: there is no room for that much. */
  #reportMemory(moreMb = 0): boolean {
    const megabytes = this.#usedMb() + moreMb;
    const fits = this.#demand?.setReclaimable(megabytes) ?? false;
    if (fits) this.#options.metrics.reclaimable(megabytes);
    return fits;
  }

  #usedMb(): number {
    let sum = this.#making?.shape.memoryMb ?? 0;
    for (const { shape, vms } of this.#waiting.values()) sum += shape.memoryMb * vms.length;
    return sum;
  }

  #changed(shape: Shape): void {
    this.#options.metrics.waiting(shape, this.count(shape));
    this.#reportMemory();
    this.#wake();
  }

  /** Waits until something may have changed. */
  async #change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await endsWithin(CHECK_INTERVAL_MS, promise, this.#closing.signal);
  }
}

function hostLoad(): number {
  return (loadavg()[0] ?? 0) / availableParallelism();
}
