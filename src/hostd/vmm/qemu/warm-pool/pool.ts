import { availableParallelism, loadavg } from "node:os";
import { describeError, logger } from "../../../../lib/runtime/log.ts";
import { sleep } from "../../../../lib/runtime/wait.ts";
import type { PoolMetrics } from "../../pool-metrics.ts";
import type { Shape, WarmDemand } from "../../vmm.ts";
import { affordable, type RecentStart, shapeKey, wantedVms } from "./pool-policy.ts";

/** What a pool needs to know of a VM. */
export interface Pooled {
  readonly id: string;
  readonly shape: Shape;
  readonly vm: { readonly exited: Promise<unknown> };
}

/** What a pool works with. */
export interface PoolOptions<V extends Pooled> {
  /** Most memory that waiting VMs may have together, each counted as what its guest could use. */
  readonly memoryMb: number;
  readonly metrics: PoolMetrics;
  /** Whether there is something to prepare for VMs of a shape; then it is prepared before any is made, even where none can wait. */
  readonly isUnprepared: (shape: Shape) => boolean;
  readonly prepare: (shape: Shape, signal: AbortSignal) => Promise<void>;
  /** Makes a waiting VM; leaves nothing behind when it fails. */
  readonly make: (shape: Shape, signal: AbortSignal) => Promise<V>;
  /** Ends one that will not be used. */
  readonly discard: (vm: V) => Promise<void>;
  /** How many processes want to run, for each processor. Default: what the host says of the last minute. */
  readonly load?: () => number;
  /** Resolves after so many milliseconds, or when the signal aborts. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Starts this long ago say nothing of what is to come. */
const MEMORY_MS = 10 * 60_000;
const MAX_RECENT = 512;
/** How often the pool looks whether something else is wanted. */
const LOOK_MS = 2_000;
/** A start is not disturbed, nor what comes right after it. */
const QUIET_MS = 100;
const RETRY_MS = [1_000, 60_000] as const;
/** How much longer a busy host waits before it makes another VM, for each process per CPU that wants to run, and at most. */
const LOAD_PAUSE_MS = [150, 3_000] as const;

/**
 * VMs that wait, by shape. One is made at a time, while nothing is being started; those that nobody wants any more, or whose memory is
 * needed, go at once.
 */
export class WarmPool<V extends Pooled> {
  readonly #options: Required<PoolOptions<V>>;
  readonly #waiting = new Map<string, { readonly shape: Shape; readonly vms: V[] }>();
  readonly #recent: RecentStart[] = [];
  readonly #discarding = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #demand: WarmDemand | undefined;
  #filling: { readonly shape: Shape; readonly abort: AbortController } | undefined;
  #work: Promise<void> = Promise.resolve();
  #starts = 0;
  #wake: () => void = () => {};

  constructor(options: PoolOptions<V>) {
    this.#options = { load: hostLoad, pause: sleep, ...options };
  }

  /** Begins to keep VMs waiting. */
  open(demand: WarmDemand): void {
    if (this.#demand) return;
    this.#demand = demand;
    demand.onReclaim((leftMb) => this.#shrink(leftMb));
    this.#work = this.#run(demand);
  }

  /** How many wait, of this shape or of all. */
  count(shape?: Shape): number {
    if (shape === undefined) {
      let all = 0;
      for (const { vms } of this.#waiting.values()) all += vms.length;
      return all;
    }
    return this.#waiting.get(shapeKey(shape))?.vms.length ?? 0;
  }

  /** Says that a start begins; the answer says that it is over. */
  begin(shape: Shape): () => void {
    this.#recent.push({ shape, atMs: performance.now() });
    if (this.#recent.length > MAX_RECENT) this.#recent.shift();
    this.#starts += 1;
    return () => {
      this.#starts -= 1;
      // The start is answered first, and then thought of what to make next.
      setImmediate(() => this.#wake());
    };
  }

  /** Takes a waiting VM, which is the caller's from then on. */
  take(shape: Shape): V | undefined {
    const vm = this.#waiting.get(shapeKey(shape))?.vms.shift();
    if (vm) this.#changed(shape);
    return vm;
  }

  /** Ends the making, and all that wait. */
  async close(): Promise<void> {
    this.#closing.abort(new Error("the pool is closing"));
    this.#filling?.abort.abort(new Error("the pool is closing"));
    this.#wake();
    await this.#work;
    for (const { vms } of this.#waiting.values()) for (const vm of vms.splice(0)) this.#discard(vm);
    await Promise.all(this.#discarding);
  }

  async #run(demand: WarmDemand): Promise<void> {
    const { signal } = this.#closing;
    let pauseMs: number = RETRY_MS[0];
    while (!signal.aborted) {
      const next = this.#next(demand);
      if (!next || this.#starts > 0) {
        await this.#news();
        continue;
      }
      await this.#options.pause(QUIET_MS + loadPauseMs(this.#options.load()), signal);
      if (this.#starts > 0 || signal.aborted) continue;
      if (await this.#fill(next)) {
        pauseMs = RETRY_MS[0];
      } else {
        await this.#options.pause(pauseMs, signal);
        pauseMs = Math.min(pauseMs * 2, RETRY_MS[1]);
      }
    }
  }

  /** Lets those go that are not wanted, and says which shape lacks one. */
  #next(demand: WarmDemand): Shape | undefined {
    const oldest = performance.now() - MEMORY_MS;
    while ((this.#recent[0]?.atMs ?? oldest) < oldest) this.#recent.shift();
    const wanted = wantedVms(demand.shapes(), this.#recent);
    const targets = affordable(wanted, this.#options.memoryMb);
    for (const { shape, vms } of this.#waiting.values()) {
      const target = targets.find((each) => shapeKey(each.shape) === shapeKey(shape))?.count ?? 0;
      if (vms.length <= target) continue;
      for (const vm of vms.splice(target)) this.#discard(vm);
      this.#changed(shape);
    }
    const fits = (shape: Shape): boolean => this.#fits(demand, shape);
    const lacking = targets.find(({ shape, count }) => this.count(shape) < count && fits(shape));
    return (wanted.find(({ shape }) => this.#options.isUnprepared(shape) && fits(shape)) ?? lacking)?.shape;
  }

  #fits(demand: WarmDemand, shape: Shape): boolean {
    const fits = demand.lend(this.#usedMb() + shape.memoryMb);
    this.#lend(this.#usedMb());
    return fits;
  }

  async #fill(shape: Shape): Promise<boolean> {
    if (!this.#lend(this.#usedMb() + shape.memoryMb)) return true;
    const abort = new AbortController();
    this.#filling = { shape, abort };
    try {
      if (this.#options.isUnprepared(shape)) {
        await this.#options.prepare(shape, abort.signal);
        return true;
      }
      const waiting = await this.#options.make(shape, abort.signal);
      this.#filling = undefined;
      if (abort.signal.aborted) this.#discard(waiting);
      else this.#add(waiting);
      return true;
    } catch (err) {
      if (!abort.signal.aborted) logger.warn("no VM could be made to wait", { error: describeError(err) });
      return abort.signal.aborted;
    } finally {
      if (this.#filling?.abort === abort) this.#filling = undefined;
      this.#changed(shape);
    }
  }

  #add(waiting: V): void {
    const { shape, vm } = waiting;
    const key = shapeKey(shape);
    const same = this.#waiting.get(key) ?? { shape, vms: [] };
    this.#waiting.set(key, same);
    same.vms.push(waiting);
    void vm.exited.then(() => {
      const at = same.vms.indexOf(waiting);
      if (at < 0) return;
      same.vms.splice(at, 1);
      this.#changed(shape);
      this.#discard(waiting);
    });
  }

  /** Those made last go first, and before them the one being made. */
  #shrink(leftMb: number): void {
    if (this.#usedMb() > leftMb) {
      this.#filling?.abort.abort(new Error("its memory is needed"));
      this.#filling = undefined;
    }
    for (const { shape, vms } of this.#waiting.values()) {
      while (vms.length > 0 && this.#usedMb() > leftMb) {
        const vm = vms.pop();
        if (vm) this.#discard(vm);
      }
      this.#options.metrics.waiting(shape, vms.length);
    }
    this.#lend(this.#usedMb());
  }

  #discard(vm: V): void {
    const work = this.#options
      .discard(vm)
      .catch((err: unknown) => {
        logger.warn("a VM that waited could not be ended", { vm_id: vm.id, error: describeError(err) });
      })
      .finally(() => this.#discarding.delete(work));
    this.#discarding.add(work);
  }

  #lend(megabytes: number): boolean {
    const isLent = this.#demand?.lend(megabytes) ?? false;
    if (isLent) this.#options.metrics.lent(megabytes);
    return isLent;
  }

  #usedMb(): number {
    let sum = this.#filling?.shape.memoryMb ?? 0;
    for (const { shape, vms } of this.#waiting.values()) sum += shape.memoryMb * vms.length;
    return sum;
  }

  #changed(shape: Shape): void {
    this.#options.metrics.waiting(shape, this.count(shape));
    this.#lend(this.#usedMb());
    this.#wake();
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#closing.signal.aborted) this.#wake();
    });
  }
}

function loadPauseMs(load: number): number {
  const [each, most] = LOAD_PAUSE_MS;
  return Math.min(most, load * each);
}

function hostLoad(): number {
  return (loadavg()[0] ?? 0) / availableParallelism();
}
