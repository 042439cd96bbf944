import { Fault } from "../../../lib/faults/fault.ts";

/** How many creates may be under way. */
export interface CreateLimits {
  /** Of one organisation, unless it has its own limit. */
  readonly perOrg: number;
  /** Of all organisations. */
  readonly total: number;
}

export const DEFAULT_CREATE_LIMITS: CreateLimits = { perOrg: 256, total: 1_024 };
/** About what a create with a pull takes. */
const RETRY_AFTER_MS = 1_000;

/** Bounds the creates that are under way here. Each api counts its own. */
export class CreateSlots {
  readonly #limits: CreateLimits;
  readonly #ownLimit: (org: string) => number | undefined;
  readonly #byOrg = new Map<string, number>();
  #total = 0;

  /** @param ownLimit returns the limit of an organisation that has its own */
  constructor(limits: CreateLimits, ownLimit: (org: string) => number | undefined = () => undefined) {
    this.#limits = limits;
    this.#ownLimit = ownLimit;
  }

  /**
   * Takes a slot until it is disposed of.
   *
   * @throws Fault `CREATES_IN_PROGRESS` when the organisation has as many as it may, or the api
   */
  take(org: string): Disposable {
    const inProgress = this.#byOrg.get(org) ?? 0;
    const limit = this.#ownLimit(org) ?? this.#limits.perOrg;
    if (inProgress >= limit) throw ofOrg(org, inProgress, limit);
    if (this.#total >= this.#limits.total) throw ofApi(org, this.#limits.total);
    this.#byOrg.set(org, inProgress + 1);
    this.#total += 1;
    let isTaken = true;
    return {
      [Symbol.dispose]: () => {
        if (!isTaken) return;
        isTaken = false;
        this.#release(org);
      },
    };
  }

  #release(org: string): void {
    this.#total -= 1;
    const left = (this.#byOrg.get(org) ?? 1) - 1;
    if (left === 0) this.#byOrg.delete(org);
    else this.#byOrg.set(org, left);
  }
}

function ofOrg(org: string, inProgress: number, limit: number): Fault {
  const message =
    `organisation ${org} has ${inProgress} creates under way here and may have ${limit}; ` +
    "try again when some have ended, or have the limit raised";
  const facts = { org, in_progress: String(inProgress), limit: String(limit), of: "organisation" };
  return full(message, facts);
}

function ofApi(org: string, limit: number): Fault {
  const message = `this api has ${limit} creates under way, as many as it may; try again when some have ended`;
  return full(message, { org, in_progress: String(limit), limit: String(limit), of: "api" });
}

function full(message: string, facts: Readonly<Record<string, string>>): Fault {
  const extra = { retryAfterMs: RETRY_AFTER_MS };
  return new Fault("RESOURCE_EXHAUSTED", "CREATES_IN_PROGRESS", message, facts, extra);
}
