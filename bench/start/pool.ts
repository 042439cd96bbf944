import { sleep } from "../../src/lib/runtime/wait.ts";
import { gauge } from "../lib/gauge.ts";

/** The start path that a start is to take. */
export type StartPath = "warm" | "template" | "cold";

const POLL_MS = 150;
/** What the last start has left to tidy up is over by then. */
const PAUSE_MS = 300;
/** A pool that has not changed for so long has what the host wants it to have. A boot in emulation takes less. */
const STEADY_MS = 4_000;
/** Asking the host is not to be in the way of what is measured next. */
const QUIET_MS = 100;
const TIMEOUT_MS = 5_000;

/** Watches what a host has prepared, by its metrics, so that a start finds it ready. */
export class PoolWatch {
  readonly #address: string;
  #fullest = 0;

  /** @param address where the host serves its metrics */
  constructor(address: string) {
    this.#address = address;
  }

  /** The host wants another pool from now on, since there are other machines: how full it has been says nothing any more. */
  forget(): void {
    this.#fullest = 0;
  }

  /**
   * Waits until a start can be expected to take this path: until the pool is as full as it has ever been or does not change any more, until there
   * is a template. False when `patienceMs` were not enough.
   */
  async ready(startPath: StartPath, patienceMs: number, signal: AbortSignal): Promise<boolean> {
    await sleep(PAUSE_MS, signal);
    const isReady = startPath === "cold" || (await this.#prepared(startPath, patienceMs, signal));
    await sleep(QUIET_MS, signal);
    signal.throwIfAborted();
    return isReady;
  }

  async #prepared(
    startPath: Exclude<StartPath, "cold">,
    patienceMs: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const deadline = performance.now() + patienceMs;
    let size = 0;
    let changedAt = performance.now();
    while (performance.now() < deadline) {
      signal.throwIfAborted();
      const metrics = await this.#scrape(signal);
      if (startPath === "template" && gauge(metrics, "windhover_template_age_seconds") !== undefined)
        return true;
      const now = gauge(metrics, "windhover_pool_size") ?? 0;
      if (now !== size) changedAt = performance.now();
      size = now;
      const isSteady = performance.now() - changedAt > STEADY_MS;
      if (startPath === "warm" && size > 0 && (size === this.#fullest || isSteady)) {
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
