import { sleep } from "../../../src/lib/runtime/wait.ts";
import { gauge } from "./gauge.ts";

/** The start path that a start should take. */
export type StartPath = "warm" | "template" | "cold";

const POLL_MS = 150;
/** The teardown of the last start ends within this time. */
const PAUSE_MS = 300;
/** A pool that has not changed for this time, in which a guest boots, does not grow. */
const STEADY_MS = 4_000;
/** Pause between the last request for metrics and what is measured next. */
const QUIET_MS = 100;
const TIMEOUT_MS = 5_000;

/** Watches a host's pool and templates by its metrics. */
export class PoolWatch {
  readonly #address: string;
  #fullest = 0;

  /** @param address where the host serves its metrics */
  constructor(address: string) {
    this.#address = address;
  }

  /** Forgets how full the pool has been: there are other machines now. */
  forget(): void {
    this.#fullest = 0;
  }

  /**
   * Waits until a start is likely to take a path: until the pool is as full as it has ever been or
   * does not change any more, or until there is a template. False when that takes longer than
   * `limitMs`.
   */
  async ready(startPath: StartPath, limitMs: number, signal: AbortSignal): Promise<boolean> {
    await sleep(PAUSE_MS, signal);
    const isReady = startPath === "cold" || (await this.#prepared(startPath, limitMs, signal));
    await sleep(QUIET_MS, signal);
    signal.throwIfAborted();
    return isReady;
  }

  /** Returns how many VMs wait. */
  async size(signal: AbortSignal): Promise<number> {
    return sizeIn(await this.#metrics(signal));
  }

  async #prepared(startPath: "warm" | "template", limitMs: number, signal: AbortSignal): Promise<boolean> {
    const deadline = performance.now() + limitMs;
    let size = 0;
    let changedAt = performance.now();
    while (performance.now() < deadline) {
      signal.throwIfAborted();
      const metrics = await this.#metrics(signal);
      if (startPath === "template" && gauge(metrics, "windhover_template_age_seconds") !== undefined)
        return true;
      const now = sizeIn(metrics);
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

  async #metrics(signal: AbortSignal): Promise<string> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    return (await fetch(`http://${this.#address}/metrics`, { signal: limit })).text();
  }
}

function sizeIn(metrics: string): number {
  return gauge(metrics, "windhover_pool_size") ?? 0;
}
