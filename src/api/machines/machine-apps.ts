import { LRUCache } from "lru-cache";
import { Fault } from "../../lib/faults/fault.ts";
import { rateLimitedCalls } from "../shares/metrics.ts";
import type { Rate } from "../shares/rates.ts";
import { TokenBucket } from "../shares/token-bucket.ts";
import { type MachineId, parseMachineId } from "./ids/machine-id.ts";
import type { Machines } from "./machines.ts";

/** Machines whose app is cached. */
const MAX_KNOWN = 50_000;
/**
 * Machines that an organisation may name and does not have. A look-up asks a host and the database
 * before the call that it is for has taken a token.
 */
const MISSES: Rate = { perSecond: 50, burst: 1_000 };
const MAX_ORGS = 10_000;
const MIN_RETRY_MS = 50;
const LOOKUP_MS = 10_000;

/** Finds the app of a machine. It never changes, so it is cached. */
export class MachineApps {
  readonly #machines: Pick<Machines, "get">;
  readonly #monotonicMs: () => number;
  readonly #known = new LRUCache<string, string>({ max: MAX_KNOWN });
  readonly #misses = new LRUCache<string, TokenBucket>({ max: MAX_ORGS });

  constructor(machines: Pick<Machines, "get">, monotonicMs: () => number) {
    this.#machines = machines;
    this.#monotonicMs = monotonicMs;
  }

  /**
   * Returns undefined when the organisation has no such machine.
   *
   * @throws Fault `RATE_LIMITED` after too many of those; others when neither host nor database answers
   */
  async find(machineId: string, org: string, signal?: AbortSignal): Promise<string | undefined> {
    const id = parseMachineId(machineId);
    if (!id) return undefined;
    const key = `${org} ${id}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const giveBack = this.#takeMiss(org);
    let isMiss = false;
    try {
      const app = await this.#ask(id, org, signal);
      isMiss = app === undefined;
      if (app !== undefined) this.#known.set(key, app);
      return app;
    } finally {
      if (!isMiss) giveBack();
    }
  }

  /** Counts a look-up as a miss. Returns a function that takes that back. @throws Fault `RATE_LIMITED` */
  #takeMiss(org: string): () => void {
    // Services have no organisation.
    if (org === "") return () => {};
    const bucket = this.#misses.get(org) ?? new TokenBucket(MISSES, this.#monotonicMs());
    this.#misses.set(org, bucket);
    const retryAfterMs = bucket.take(this.#monotonicMs());
    if (retryAfterMs > 0) {
      rateLimitedCalls.inc({ action: "read" });
      throw tooManyMisses(org, retryAfterMs);
    }
    return () => bucket.charge(-1, this.#monotonicMs());
  }

  async #ask(id: MachineId, org: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    const limits = { remainingMs: LOOKUP_MS, ...(signal ? { signal } : {}) };
    try {
      return (await this.#machines.get(id, { org, ...limits })).machine.app;
    } catch (err) {
      if (err instanceof Fault && err.code === "NOT_FOUND") return undefined;
      throw err;
    }
  }
}

function tooManyMisses(org: string, retryAfterMs: number): Fault {
  const { perSecond, burst } = MISSES;
  const message = `organisation ${org} names machines that it does not have more often than it may, ${perSecond} times a second and ${burst} at once`;
  const facts = { org, action: "read", limit: String(perSecond), burst: String(burst) };
  return new Fault("RESOURCE_EXHAUSTED", "RATE_LIMITED", message, facts, {
    retryAfterMs: Math.ceil(Math.max(MIN_RETRY_MS, retryAfterMs)),
  });
}
