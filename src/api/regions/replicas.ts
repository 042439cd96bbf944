import type { CallScope } from "../../lib/grpc/client.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import { replicaOrder } from "./replica-order.ts";

/** A replica that could not work is asked last for so long, in milliseconds: about a restart's length. */
const LEFT_OUT_MS = 3_000;
/** Replicas asked for one call, at most. */
const ATTEMPTS = 3;
/** One that does not answer for so long, while another is there to be asked, is given up; in milliseconds. Far beyond any auction. */
const PATIENCE_MS = 3_000;
/** Reasons that mean that a replica cannot work now, whatever it is asked: another may. */
const UNABLE: ReadonlySet<string> = new Set([
  "PEER_UNAVAILABLE",
  "REDIS_UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "SERVER_DRAINING",
  // By the peer, which was told to end at once: a caller who cancels is seen by the signal.
  "CANCELLED",
]);

/**
 * Chooses among replicas of a service that share their state, for calls that may be repeated. Calls about one thing go to one replica as long
 * as it works (it knows an auction that runs, and whom it asked); one that does not is left out for a while, and its calls go to another.
 */
export class Replicas {
  readonly #addresses: readonly string[];
  readonly #clock: Clock;
  readonly #unableUntilMs = new Map<string, number>();

  constructor(addresses: readonly string[], clock: Clock) {
    this.#addresses = addresses;
    this.#clock = clock;
  }

  /** Whether another replica may do what ended with this. */
  static isUnable(fault: Fault): boolean {
    return UNABLE.has(fault.reason);
  }

  /**
   * Asks replicas until one answers, or refuses for a reason of its own; at most three, and no longer than `limitMs` in all.
   *
   * @param key what the call is about; empty: whichever
   * @throws Fault the last replica's, when none is able
   */
  async ask<T>(
    key: string,
    limitMs: number,
    signal: AbortSignal | undefined,
    attempt: (address: string, scope: CallScope) => Promise<T>,
  ): Promise<T> {
    const until = this.#clock.monotonicMs() + limitMs;
    const order = this.#order(key).slice(0, ATTEMPTS);
    let last: unknown;
    for (const [index, address] of order.entries()) {
      const leftMs = until - this.#clock.monotonicMs();
      if (last !== undefined && (leftMs <= 0 || signal?.aborted)) break;
      const timeoutMs = index === order.length - 1 ? leftMs : Math.min(leftMs, PATIENCE_MS);
      try {
        const answer = await attempt(address, { timeoutMs, ...(signal ? { signal } : {}) });
        this.#unableUntilMs.delete(address);
        return answer;
      } catch (err) {
        if (!(err instanceof Fault) || !Replicas.isUnable(err) || signal?.aborted) throw err;
        this.#unableUntilMs.set(address, this.#clock.monotonicMs() + LEFT_OUT_MS);
        if (index < order.length - 1)
          logger.info("another replica is asked", { address, reason: err.reason });
        last = err;
      }
    }
    throw last;
  }

  /** Those believed to be able first. The others stay in it: when all were unable, all are worth a try. */
  #order(key: string): readonly string[] {
    const now = this.#clock.monotonicMs();
    const order = replicaOrder(key, this.#addresses);
    const isAble = (address: string) => (this.#unableUntilMs.get(address) ?? 0) <= now;
    return [...order.filter(isAble), ...order.filter((address) => !isAble(address))];
  }
}
