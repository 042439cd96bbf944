import { AsyncLocalStorage } from "node:async_hooks";
import type { Clock } from "../../../src/lib/runtime/clock.ts";
import { Random } from "./random.ts";

/**
 * Simulated time. All that happens is an event in one queue, taken in the order of time; nothing runs beside it. An event belongs to one life
 * of one process, and what it starts (timers, calls) belongs to the same: the life travels with the asynchronous context. When a process is
 * killed its life is dead: none of its events happens any more, which is just what `kill -9` does. A paused process gets its events late.
 *
 * After each event everything that follows from it at once (promises) runs to its end before the next, so a schedule depends on its seed only.
 */

/** From when time counts, in milliseconds since the epoch. */
const EPOCH_MS = 1_700_000_000_000;
/** More events than this, and something goes round in circles. */
const MAX_EVENTS = 2_000_000;

const here = new AsyncLocalStorage<Life>();

/** The life whose code runs now; undefined outside the simulation. */
export function currentLife(): Life | undefined {
  return here.getStore();
}

/** Something that is to happen. */
export interface Event {
  cancel(): void;
}

interface Entry {
  readonly life: Life | undefined;
  readonly run: () => void;
  atMs: number;
  order: number;
  cancelled: boolean;
}

/** A program that can be killed, started anew and paused, and whose clock may be wrong. */
export class Process {
  readonly name: string;
  readonly world: World;
  life: Life | undefined;
  /** What its wall clock is ahead of the true time. */
  skewMs = 0;
  /** Its monotonic clock began at some other time. */
  readonly #bootMs: number;
  pausedUntilMs = 0;
  readonly #boot: (life: Life) => void;
  #countdown: { left: number; readonly fn: () => void } | undefined;

  constructor(world: World, name: string, boot: (life: Life) => void) {
    this.world = world;
    this.name = name;
    this.#boot = boot;
    this.#bootMs = world.random.whole(1, 1_000_000);
    world.processes.push(this);
  }

  /** Its clock, whoever looks at it. */
  readonly clock: Clock = { now: () => this.wallMs(), monotonicMs: () => this.monotonicMs() };

  wallMs(): number {
    return Math.floor(EPOCH_MS + this.world.nowMs + this.skewMs);
  }

  monotonicMs(): number {
    return this.#bootMs + this.world.nowMs;
  }

  /** Has `fn` called after so many more of its events. */
  inEvents(left: number, fn: () => void): void {
    this.#countdown = { left, fn };
  }

  /** One of its events has happened. */
  hasRun(): void {
    if (!this.#countdown || --this.#countdown.left > 0) return;
    const { fn } = this.#countdown;
    this.#countdown = undefined;
    fn();
  }

  /** Starts it; nothing when it runs. */
  start(): void {
    if (this.life) return;
    const life = new Life(this);
    this.life = life;
    this.world.log(this.name, "starts");
    this.world.after(life, 0, () => this.#boot(life));
  }

  /** Kills it: what it was about to do is not done. */
  kill(): void {
    if (!this.life) return;
    this.world.log(this.name, "is killed");
    this.end();
  }

  /** Ends it without a word: the simulation is over. */
  end(): void {
    const { life } = this;
    if (!life) return;
    this.life = undefined;
    this.pausedUntilMs = 0;
    life.end();
  }
}

/** One life of a process. */
export class Life {
  readonly process: Process;
  readonly world: World;
  isDead = false;
  readonly #onDeath = new Set<() => void>();

  constructor(process: Process) {
    this.process = process;
    this.world = process.world;
  }

  /** Has `fn` called when it dies: by the world around it, e.g. connections that break. The answer takes that back. */
  onDeath(fn: () => void): () => void {
    this.#onDeath.add(fn);
    return () => this.#onDeath.delete(fn);
  }

  end(): void {
    this.isDead = true;
    for (const fn of this.#onDeath) fn();
    this.#onDeath.clear();
  }
}

/** The time, and what is to happen. */
export class World {
  readonly seed: number;
  /** For the code under test, and nothing else. */
  readonly random: Random;
  readonly processes: Process[] = [];
  readonly lines: string[] = [];
  nowMs = 0;
  events = 0;
  /** Called after each event, with the process it happened in. */
  onEvent: (process: Process | undefined) => void = () => {};
  readonly #heap: Entry[] = [];
  readonly #verbose: boolean;
  #order = 0;
  #digest = 0;

  constructor(seed: number, verbose: boolean) {
    this.seed = seed;
    this.#verbose = verbose;
    this.random = new Random(seed, "code");
  }

  /** Says what happens, for the replay of a seed. `detail` is only asked for when somebody reads it. */
  log(who: string, what: string, detail?: () => string): void {
    this.note(what);
    if (this.#verbose) this.say(who, detail ? `${what} ${detail()}` : what);
  }

  /** A line for whoever reads; it makes no difference to anything. */
  say(who: string, text: string): void {
    this.lines.push(`${(this.nowMs / 1_000).toFixed(4).padStart(10)} ${who.padEnd(12)} ${text}`);
  }

  /** A number that two runs have in common only when they went the same way. */
  get fingerprint(): string {
    return `${this.events}-${(this.#digest >>> 0).toString(16)}-${this.nowMs}`;
  }

  note(text: string): void {
    let digest = this.#digest ^ Math.floor(this.nowMs * 1_000);
    for (let i = 0; i < text.length; i++) digest = Math.imul(digest ^ text.charCodeAt(i), 0x01000193);
    this.#digest = digest;
  }

  /** Calls `fn` in so many milliseconds, as part of a life, unless it has ended by then. Without a life: the world itself. */
  after(life: Life | undefined, ms: number, fn: () => void): Event {
    const entry: Entry = {
      life,
      run: fn,
      atMs: this.nowMs + Math.max(0, ms),
      order: this.#order++,
      cancelled: false,
    };
    this.#push(entry);
    return {
      cancel: () => {
        entry.cancelled = true;
      },
    };
  }

  /** Lets time pass until `isOver` says so; the answer tells whether that was before `untilMs`. */
  async run(untilMs: number, isOver: () => boolean): Promise<boolean> {
    while (!isOver()) {
      const next = this.#pop();
      if (!next || next.atMs > untilMs) {
        if (next) this.#push(next);
        this.nowMs = untilMs;
        return false;
      }
      if (next.cancelled || next.life?.isDead) continue;
      const process = next.life?.process;
      if (process && process.pausedUntilMs > next.atMs) {
        // In the order in which they would have happened.
        next.atMs = process.pausedUntilMs;
        next.order = this.#order++;
        this.#push(next);
        continue;
      }
      this.nowMs = next.atMs;
      this.events += 1;
      if (this.events > MAX_EVENTS) throw new Error(`more than ${MAX_EVENTS} events`);
      if (next.life) here.run(next.life, next.run);
      else next.run();
      await settled();
      this.onEvent(process);
      process?.hasRun();
    }
    return true;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    heap.push(entry);
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!isBefore(heap[at], heap[parent])) return;
      swap(heap, at, parent);
      at = parent;
    }
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (heap.length === 0 || last === undefined) return first;
    heap[0] = last;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (isBefore(heap[left], heap[least])) least = left;
      if (isBefore(heap[right], heap[least])) least = right;
      if (least === at) return first;
      swap(heap, at, least);
      at = least;
    }
  }
}

function isBefore(a: Entry | undefined, b: Entry | undefined): boolean {
  if (!a || !b) return a !== undefined;
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function swap(heap: Entry[], a: number, b: number): void {
  const [one, other] = [heap[a], heap[b]];
  if (one && other) [heap[a], heap[b]] = [other, one];
}

// Taken before anybody replaces it.
const { setImmediate: nextTurn } = globalThis;

/** Resolves once every promise that could be settled has been, however long their chain: a turn of the real event loop later. */
function settled(): Promise<void> {
  return new Promise((resolve) => nextTurn(resolve));
}
