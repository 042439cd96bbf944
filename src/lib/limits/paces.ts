import type { Clock } from "../runtime/clock.ts";
import { sleep } from "../runtime/wait.ts";

/** What each holder may use: `burst` at once, and `perSecond` in the long run. */
export interface PaceOptions {
  readonly perSecond: number;
  readonly burst: number;
  readonly clock: Pick<Clock, "monotonicMs">;
}

/** Holders that are remembered. Of more, the one that has used something least recently begins anew. */
const MAX_HOLDERS = 10_000;

/** Slows down what holders do, where it goes on anyway: nothing is refused. */
export class Paces {
  readonly #options: PaceOptions;
  /** What is left, and when that was. In the order of use. */
  readonly #holders = new Map<string, { readonly left: number; readonly atMs: number }>();

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** Takes what has been used, and waits until it is paid for. Returns early when `signal` aborts. */
  async take(holder: string, used: number, signal: AbortSignal): Promise<void> {
    const { perSecond, burst, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const { left, atMs } = this.#holders.get(holder) ?? { left: burst, atMs: nowMs };
    const rest = Math.min(burst, left + ((nowMs - atMs) * perSecond) / 1_000) - used;
    this.#holders.delete(holder);
    this.#holders.set(holder, { left: rest, atMs: nowMs });
    if (this.#holders.size > MAX_HOLDERS) this.#holders.delete(this.#holders.keys().next().value ?? "");
    if (rest < 0) await sleep((-rest / perSecond) * 1_000, signal);
  }
}
