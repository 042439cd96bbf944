import { Fault } from "../../lib/faults/fault.ts";
import { type Release, Semaphore } from "../../lib/limits/semaphore.ts";

/** For whom and from where something is pulled. */
export interface PlaceFor {
  readonly org: string;
  readonly registry: string;
}

export interface PlaceLimits {
  /** At a time. */
  readonly total: number;
  readonly perOrg: number;
  readonly perRegistry: number;
  /** Waiting, of all organisations. */
  readonly maxWaiting: number;
  /** At a time and waiting, of one organisation. */
  readonly maxOfOrg: number;
}

/**
 * Bounds how much is pulled at a time, so that neither one organisation nor one slow registry takes all places. Organisations
 * take turns.
 */
export class Places {
  readonly #limits: PlaceLimits;
  readonly #semaphore: Semaphore;
  readonly #running = new Map<string, number>();
  readonly #inside = new Map<string, number>();

  constructor(limits: PlaceLimits) {
    this.#limits = limits;
    const full = () => tooMany(limits.maxWaiting, "pulls are waiting on this host already");
    this.#semaphore = new Semaphore({ permits: limits.total, maxWaiting: limits.maxWaiting, full });
  }

  /** Runs `work` in a place. @throws Fault RESOURCE_EXHAUSTED / `TOO_MANY_PULLS`; the signal's reason */
  async run<T>(work: () => Promise<T>, signal: AbortSignal, { org, registry }: PlaceFor): Promise<T> {
    const { perOrg, perRegistry, maxOfOrg } = this.#limits;
    const leave = take(this.#inside, org, maxOfOrg);
    if (!leave) throw tooMany(maxOfOrg, `pulls of ${org || "one caller"} are under way on this host already`);
    const claim = () => {
      const ofOrg = take(this.#running, `org ${org}`, perOrg);
      const ofRegistry = ofOrg && take(this.#running, `registry ${registry}`, perRegistry);
      if (!ofRegistry) ofOrg?.();
      return ofRegistry && (() => void [ofOrg(), ofRegistry()]);
    };
    try {
      const release = await this.#semaphore.acquire(signal, org, claim);
      try {
        return await work();
      } finally {
        release();
      }
    } finally {
      leave();
    }
  }
}

/** Counts one more under a key; undefined when there are `limit`. */
function take(counts: Map<string, number>, key: string, limit: number): Release | undefined {
  const count = counts.get(key) ?? 0;
  if (count >= limit) return undefined;
  counts.set(key, count + 1);
  return () => {
    const others = (counts.get(key) ?? 1) - 1;
    if (others === 0) counts.delete(key);
    else counts.set(key, others);
  };
}

function tooMany(limit: number, what: string): Fault {
  const message = `${limit} ${what}; try again later`;
  const facts = { limit: String(limit) };
  return new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_PULLS", message, facts, { retryAfterMs: 5_000 });
}
