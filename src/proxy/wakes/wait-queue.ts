import type { Choice } from "../machines/choice.ts";
import type { Timers } from "../timers.ts";

/** What a waiting request is told. Each is told one thing, once. */
export interface WaiterEvents {
  /** Takes the place, at once: the next decision counts with it. */
  placed(machineId: string): void;
  refused(why: "no_machine" | "autostart_off" | "failed"): void;
  overdue(why: "starting" | "full"): void;
}

/** A request that waits. */
export interface Waiter extends WaiterEvents {
  /** Whether it may only go to certain machines: then it does not hold up others. */
  readonly isSpecial: boolean;
  /** Parent of the start that it causes. */
  readonly traceparent: string;
  /** Chooses for it. @param waiting requests that wait beside it @param pace see {@link Pace} */
  choose(waiting: number, pace: Pace): Choice;
}

/** Most requests that a machine without hard limit is given from a queue, by id. */
export type Pace = ReadonlyMap<string, number>;

export interface QueueParts {
  readonly timers: Timers;
  /** Starts a machine, unless that is under way. */
  wake(machineId: string, traceparent: string): void;
  /** Machines that take requests now, with their load and soft limit. */
  open(): Iterable<{ readonly id: string; readonly load: number; readonly softLimit: number }>;
}

/** Machines without hard limit are given as many more as their soft limit says, so often. */
const PACE_MS = 25;
/** Looks again, whatever has been heard: pauses after failures end, and starts become slow. */
const LOOK_MS = 200;

/** The requests that wait for a service of an app: first come, first served. */
export class WaitQueue {
  readonly #parts: QueueParts;
  readonly #waiters = new Set<Waiter>();
  readonly #cancels = new Map<Waiter, () => void>();
  readonly #pace = new Map<string, number>();
  #plain = 0;
  #isDue = false;
  #cancelLook: (() => void) | undefined;
  #cancelPace: (() => void) | undefined;

  constructor(parts: QueueParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** Whether a request that did not wait would pass others. */
  get hasPlain(): boolean {
    return this.#plain > 0;
  }

  /** Lets a request wait. @returns what takes it out */
  add(waiter: Waiter, timeoutMs: number): () => void {
    this.#waiters.add(waiter);
    if (!waiter.isSpecial) this.#plain += 1;
    const cancel = this.#parts.timers.after(timeoutMs, () => {
      if (!this.#remove(waiter)) return;
      const choice = waiter.choose(this.size, this.#pace);
      waiter.overdue(choice.kind === "wait" ? choice.why : "starting");
    });
    this.#cancels.set(waiter, cancel);
    this.poke();
    return () => void this.#remove(waiter);
  }

  /** Decides again soon: something has changed. */
  poke(): void {
    if (this.#isDue || this.size === 0) return;
    this.#isDue = true;
    this.#parts.timers.soon(() => {
      this.#isDue = false;
      this.#pump();
    });
  }

  #pump(): void {
    let isFull = false;
    for (const waiter of this.#waiters) {
      // Where the first of these has no place, the next has none.
      if (isFull && !waiter.isSpecial) continue;
      if (!this.#try(waiter)) isFull ||= !waiter.isSpecial;
    }
    if (this.size === 0) return;
    this.#cancelLook?.();
    this.#cancelLook = this.#parts.timers.after(LOOK_MS, () => this.poke());
    this.#cancelPace ??= this.#parts.timers.after(PACE_MS, () => this.#nextPace());
  }

  /** @returns whether it waits no more */
  #try(waiter: Waiter): boolean {
    // Each round starts one machine more, as long as the load calls for it.
    for (let lastWake: string | undefined; ; ) {
      const choice = waiter.choose(this.size - 1, this.#pace);
      if (choice.kind !== "none" && choice.wake !== undefined)
        this.#parts.wake(choice.wake, waiter.traceparent);
      if (choice.kind === "wait") {
        if (choice.wake === undefined || choice.wake === lastWake) return false;
        lastWake = choice.wake;
        continue;
      }
      if (!this.#remove(waiter)) return true;
      if (choice.kind === "place") waiter.placed(choice.id);
      else waiter.refused(choice.why);
      return true;
    }
  }

  #remove(waiter: Waiter): boolean {
    this.#cancels.get(waiter)?.();
    this.#cancels.delete(waiter);
    const wasThere = this.#waiters.delete(waiter);
    if (wasThere && !waiter.isSpecial) this.#plain -= 1;
    if (this.size === 0) this.#rest();
    return wasThere;
  }

  #nextPace(): void {
    this.#cancelPace = undefined;
    this.#pace.clear();
    for (const { id, load, softLimit } of this.#parts.open()) this.#pace.set(id, load + softLimit);
    this.poke();
  }

  #rest(): void {
    this.#cancelLook?.();
    this.#cancelPace?.();
    this.#cancelLook = undefined;
    this.#cancelPace = undefined;
    this.#pace.clear();
  }
}
