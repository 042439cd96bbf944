import { imageFault, type Subject } from "../../lib/oci/faults.ts";
import { unreachable } from "../../lib/oci/request-faults.ts";
import { onAbort } from "../../lib/runtime/abort.ts";

/** The least rate of a download. */
export interface MinRate {
  /** 0: none. */
  readonly minBytesPerSecond: number;
  /** Over how long it is measured, again and again. */
  readonly windowMs: number;
}

/** Aborts a download that brings too few bytes in a window, whatever it waits for, from {@link start} on. */
export class RateGuard implements Disposable {
  readonly #abort = new AbortController();
  readonly #listener: Disposable;
  readonly #rate: MinRate;
  readonly #fault: (received: number) => Error;
  #timer: NodeJS.Timeout | undefined;
  #total = 0;
  #inWindow = 0;

  constructor(rate: MinRate, registry: string, subject: Subject, signal: AbortSignal) {
    this.#rate = rate;
    this.#listener = onAbort(signal, () => this.#abort.abort(signal.reason));
    this.#fault = (received) =>
      this.#total === 0
        ? unreachable(registry, subject, undefined)
        : tooSlow(registry, subject, received, rate);
  }

  /** Begins a window: the network is waited for now. Reading what is on disk does not count. */
  start(): void {
    const { minBytesPerSecond, windowMs } = this.#rate;
    clearInterval(this.#timer);
    this.#inWindow = 0;
    this.#timer = setInterval(() => {
      const received = this.#inWindow;
      this.#inWindow = 0;
      if (received < (minBytesPerSecond * windowMs) / 1_000) this.#abort.abort(this.#fault(received));
    }, windowMs).unref();
  }

  /** Aborts with the fault, or with the reason of the signal that the guard was made from. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  count(bytes: number): void {
    this.#total += bytes;
    this.#inWindow += bytes;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#listener[Symbol.dispose]();
  }
}

function tooSlow(registry: string, subject: Subject, received: number, rate: MinRate) {
  const seconds = rate.windowMs / 1_000;
  const problem = `${registry} sent ${received} bytes in ${seconds} s, and this host gives up below ${rate.minBytesPerSecond} a second (IMAGECACHE_MIN_RATE_KB); what came is kept, try again when the registry is faster`;
  const facts = {
    registry,
    received_bytes: String(received),
    window_s: String(seconds),
    min_bytes_per_second: String(rate.minBytesPerSecond),
  };
  return imageFault("REGISTRY_TOO_SLOW", subject, problem, facts);
}
