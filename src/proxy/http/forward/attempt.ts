import { onAbort } from "../../../lib/runtime/abort.ts";
import { IdleTimer } from "../../idle-timer.ts";
import { ProxyError } from "../../proxy-error.ts";
import type { Place, RoutedService } from "../../route.ts";
import type { Ending } from "../backend/outgoing.ts";
import type { BodyTape } from "../body-tape.ts";
import type { Exchange } from "../exchange.ts";

/**
 * The bounds of one attempt: it ends when the client leaves, when the machine is gone, and when no
 * byte has passed for the service's idle timeout.
 */
export class Attempt implements Disposable, Ending {
  readonly #onEnd = new Set<() => void>();
  #abort: AbortController | undefined;
  #hasEnded = false;
  #reason: unknown;
  readonly #listeners: Disposable[];
  readonly #idle: IdleTimer;
  readonly #tape: BodyTape;
  #hasAnswer = false;
  #onStalled: ((error: ProxyError) => void) | undefined;

  constructor(exchange: Exchange, place: Place, service: RoutedService, tape: BodyTape) {
    this.#tape = tape;
    this.#listeners = [
      onAbort(exchange.left, () => this.end(exchange.left.reason)),
      onAbort(place.gone, () => this.end(new Error("the machine is gone"))),
    ];
    this.#idle = new IdleTimer(service.http.idleTimeoutMs, () => {
      const error = this.#idleError();
      this.end(error);
      this.#onStalled?.(error);
    });
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** Aborts when it ends. Made when it is asked for: most requests do without. */
  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.#hasEnded) this.#abort.abort(this.#reason);
    }
    return this.#abort.signal;
  }

  onEnd(fn: () => void): Disposable {
    if (this.#hasEnded) fn();
    else this.#onEnd.add(fn);
    return { [Symbol.dispose]: () => void this.#onEnd.delete(fn) };
  }

  /** Says that bytes have passed. */
  touch(): void {
    this.#idle.touch();
  }

  /** Says that the head of the answer has come. */
  answered(): void {
    this.#hasAnswer = true;
    this.#idle.touch();
  }

  /** Calls back when no byte has passed for too long, also once the machine has nothing to do with it any more. */
  whenStalled(fn: (error: ProxyError) => void): void {
    this.#onStalled = fn;
  }

  /** The connection goes on with bounds of its own. */
  changed(): void {
    this.#idle.stop();
  }

  end(reason: unknown): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#reason = reason;
    this.#abort?.abort(reason);
    for (const fn of [...this.#onEnd]) fn();
    this.#onEnd.clear();
  }

  [Symbol.dispose](): void {
    this.#idle.stop();
    for (const listener of this.#listeners) listener[Symbol.dispose]();
  }

  #idleError(): ProxyError {
    if (this.#hasAnswer) return new ProxyError("UPSTREAM_TIMEOUT", "the answer has come to a stop");
    const isClient = !this.#tape.isEnded && !this.#tape.isBlocked;
    return isClient
      ? new ProxyError("CLIENT_TIMEOUT", "the body of the request did not come in time")
      : new ProxyError("UPSTREAM_TIMEOUT", "the app did not answer in time");
  }
}
