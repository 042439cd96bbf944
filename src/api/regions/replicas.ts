import { Fault } from "../../lib/faults/fault.ts";
import type { CallScope } from "../../lib/grpc/client.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { logger } from "../../lib/runtime/log.ts";
import { replicaOrder } from "./replica-order.ts";

/** How long a replica that could not work is tried last: about the length of a restart. */
const BACKOFF_MS = 3_000;
const MAX_ATTEMPTS = 3;
/** Timeout of an attempt while another replica is left to try. Far longer than any auction. */
const ATTEMPT_TIMEOUT_MS = 3_000;
/** Reasons that say that this replica cannot work now; another may. */
const UNABLE: ReadonlySet<string> = new Set([
  "PEER_UNAVAILABLE",
  "REDIS_UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "SERVER_DRAINING",
  // Sent by a peer that ends at once. A caller that cancels is known by its signal.
  "CANCELLED",
]);

/** A replica that has just started has no hosts yet; another one may have them. */
const isWorthAnother = (fault: Fault) => Replicas.isUnable(fault) || fault.reason === "NO_HOSTS";

/**
 * Chooses among replicas for calls that may be repeated. Calls with one key go to one replica as
 * long as it works, since it knows a running auction.
 */
export class Replicas {
  readonly #addresses: readonly string[];
  readonly #clock: Clock;
  readonly #backoffUntilMs = new Map<string, number>();

  constructor(addresses: readonly string[], clock: Clock) {
    this.#addresses = addresses;
    this.#clock = clock;
  }

  /** Whether the replica that failed with this fault could not work at all. */
  static isUnable(fault: Fault): boolean {
    return UNABLE.has(fault.reason);
  }

  /**
   * Tries replicas until one answers, or refuses for a reason of its own.
   * @throws Fault of the last replica when none works
   */
  async call<T>(
    key: string,
    limitMs: number,
    signal: AbortSignal | undefined,
    send: (address: string, scope: CallScope) => Promise<T>,
  ): Promise<T> {
    const deadlineMs = this.#clock.monotonicMs() + limitMs;
    const order = this.#order(key).slice(0, MAX_ATTEMPTS);
    let last: unknown;
    for (const [index, address] of order.entries()) {
      const leftMs = deadlineMs - this.#clock.monotonicMs();
      if (last !== undefined && (leftMs <= 0 || signal?.aborted)) break;
      const timeoutMs = index === order.length - 1 ? leftMs : Math.min(leftMs, ATTEMPT_TIMEOUT_MS);
      try {
        const answer = await send(address, { timeoutMs, ...(signal ? { signal } : {}) });
        this.#backoffUntilMs.delete(address);
        return answer;
      } catch (err) {
        if (!(err instanceof Fault) || !isWorthAnother(err) || signal?.aborted) throw err;
        this.#backoffUntilMs.set(address, this.#clock.monotonicMs() + BACKOFF_MS);
        if (index < order.length - 1) logger.info("trying another replica", { address, reason: err.reason });
        last = err;
      }
    }
    throw last;
  }

  /** Replicas in backoff come last: when all are, all are worth a try. */
  #order(key: string): readonly string[] {
    const now = this.#clock.monotonicMs();
    const order = replicaOrder(key, this.#addresses);
    const isReady = (address: string) => (this.#backoffUntilMs.get(address) ?? 0) <= now;
    return [...order.filter(isReady), ...order.filter((address) => !isReady(address))];
  }
}
