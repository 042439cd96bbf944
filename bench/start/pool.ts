import { sleep } from "../../src/lib/wait.ts";
import { gauge } from "../lib/gauge.ts";

/** How a start is brought about that is meant to go this way. */
export type Way = "warm" | "template" | "cold";

const POLL_MS = 150;
/** What the last start has left to tidy up is over by then. */
const PAUSE_MS = 300;
/** A pool that has not grown for so long will not, unless it has never been fuller. */
const STEADY_MS = 2_500;
const TIMEOUT_MS = 5_000;

/** Watches what a host has prepared, by its metrics, so that a start finds it ready. */
export class PoolWatch {
  readonly #address: string;
  #fullest = 0;

  /** @param address where the host serves its metrics */
  constructor(address: string) {
    this.#address = address;
  }

  /**
   * Waits until a start can be expected to go this way: until the pool is as full as it has ever been or has stopped growing, until there
   * is a template. False when `patienceMs` were not enough.
   */
  async ready(way: Way, patienceMs: number, signal: AbortSignal): Promise<boolean> {
    await sleep(PAUSE_MS, signal);
    if (way === "cold") return true;
    const deadline = performance.now() + patienceMs;
    let size = 0;
    let changedAt = performance.now();
    while (performance.now() < deadline) {
      signal.throwIfAborted();
      const metrics = await this.#scrape(signal);
      if (way === "template" && gauge(metrics, "windhover_template_age_seconds") !== undefined) return true;
      const now = gauge(metrics, "windhover_pool_size") ?? 0;
      if (now !== size) changedAt = performance.now();
      size = now;
      const isSteady = performance.now() - changedAt > STEADY_MS;
      if (
        way === "warm" &&
        size > 0 &&
        (size > this.#fullest ? isSteady : size === this.#fullest || isSteady)
      ) {
        this.#fullest = Math.max(size, this.#fullest);
        return true;
      }
      await sleep(POLL_MS, signal);
    }
    return false;
  }

  async #scrape(signal: AbortSignal): Promise<string> {
    const answer = await fetch(`http://${this.#address}/metrics`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    return answer.text();
  }
}
