import type { Shape, StartPath, VmExit } from "../../../src/hostd/vmm/vmm.ts";
import { outcomeOf, programOf } from "../machines/programs.ts";
import type { Random } from "../world/random.ts";
import type { Event, World } from "../world/world.ts";
import type { Paused, Saved } from "./saved.ts";

const SIGKILL = 9;
/** SIGINT, SIGKILL, SIGTERM. A program goes on after others. */
const ENDING: ReadonlySet<number> = new Set([2, SIGKILL, 15]);

/** What of a VM outlives hostd: a program that runs, stands still, or has ended. */
export class Guest {
  readonly id: string;
  readonly shape: Shape;
  startPath: StartPath = "cold";
  startedAtUs: number | undefined;
  exit: VmExit | undefined;
  /** It could not be destroyed. */
  clings = false;
  /** What it goes on with, whose memory it still reads. */
  resumed: Saved | undefined;
  /** The same of one that is kept, as long as nobody removes it: its name. */
  readsFrom: string | undefined;
  /** Ends with the life that watches. */
  watch: ((exit: VmExit) => void) | undefined;
  readonly #onRun: (begins: boolean) => void;
  readonly #world: World;
  #paused: Paused;
  #isFrozen = false;
  /** Of its ending. */
  #timer: Event | undefined;
  #goesOnMs = 0;
  /** Signals that a program gets which stands still. */
  #signals: (() => void)[] = [];

  /** @param onRun called when its program begins to run in this VM, or goes on after a save */
  constructor(
    world: World,
    id: string,
    shape: Shape,
    env: Readonly<Record<string, string>>,
    onRun: (begins: boolean) => void,
  ) {
    this.#world = world;
    this.id = id;
    this.shape = shape;
    this.#paused = { env, ending: undefined };
    this.#onRun = onRun;
  }

  /** The environment of its program. */
  get env(): Readonly<Record<string, string>> {
    return this.#paused.env;
  }

  /** Whether its program runs, and does not stand still. */
  get isRunning(): boolean {
    return this.startedAtUs !== undefined && !this.exit && !this.#isFrozen;
  }

  /** Its program begins, or goes on where another VM has left it. @param mayEnd as of {@link outcomeOf} */
  begin(random: Random, mayEnd: number): void {
    const ending = outcomeOf(programOf(this.env), random, mayEnd);
    this.goOn({ env: this.env, ending });
  }

  goOn(paused: Paused): void {
    this.#paused = paused;
    this.startedAtUs = Date.now() * 1_000;
    this.#onRun(true);
    this.#arm();
  }

  /** Stops its program. Returns what another VM needs to go on with it. */
  freeze(): Paused {
    if (!this.isRunning) throw new Error("the process has ended, or stands still");
    this.#isFrozen = true;
    this.#timer?.cancel();
    const { env, ending } = this.#paused;
    const ranMs = this.#world.nowMs - this.#goesOnMs;
    const left = ending && { ...ending, afterMs: Math.max(0, ending.afterMs - ranMs) };
    this.#paused = { env, ending: left };
    return this.#paused;
  }

  /** Lets its program go on. */
  thaw(): void {
    if (!this.#isFrozen || this.exit) return;
    this.#isFrozen = false;
    this.#onRun(false);
    this.#arm();
    for (const signal of this.#signals.splice(0)) signal();
  }

  signal(number: number, random: Random): void {
    if (this.#isFrozen) {
      this.#signals.push(() => this.signal(number, random));
      return;
    }
    const isIgnored = number !== SIGKILL && programOf(this.env).kind === "stubborn";
    if (isIgnored || !ENDING.has(number)) return;
    // A program takes a moment to end.
    this.#world.after(undefined, random.between(0, 20), () => this.#exits({ signal: number }));
  }

  end(exit: VmExit): void {
    if (this.exit) return;
    this.#timer?.cancel();
    this.exit = exit;
    this.watch?.(exit);
  }

  #arm(): void {
    const { ending } = this.#paused;
    this.#goesOnMs = this.#world.nowMs;
    if (ending) this.#timer = this.#world.after(undefined, ending.afterMs, () => this.#exits(ending));
  }

  #exits(why: { readonly code?: number; readonly signal?: number }): void {
    if (this.#isFrozen) {
      // Its signal came just before.
      this.#signals.push(() => this.#exits(why));
      return;
    }
    const { code, signal } = why;
    const how = signal === undefined ? { exitCode: code ?? 0 } : { signal };
    const exitedAtUs = Math.floor(this.#world.nowMs * 1_000);
    this.end({ kind: "process", ...how, oomKilled: false, exitedAtUs });
  }
}
