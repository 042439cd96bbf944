/** How many requests may wait. */
export interface WaitingLimits {
  /** For one service of an app. */
  readonly perService: number;
  /** For the services of one organisation. */
  readonly perOrg: number;
  /** At this proxy. */
  readonly total: number;
}

export const WAITING_LIMITS: WaitingLimits = { perService: 1_000, perOrg: 4_000, total: 10_000 };

/** Bounds the requests that wait, so that no organisation takes all the room. */
export class WaitingRoom {
  readonly #limits: WaitingLimits;
  readonly #byOrg = new Map<string, number>();
  #total = 0;

  constructor(limits: WaitingLimits) {
    this.#limits = limits;
  }

  get total(): number {
    return this.#total;
  }

  /** Takes one in, when there is room. @param ofService how many wait for its service */
  enter(org: string, ofService: number): boolean {
    const ofOrg = this.#byOrg.get(org) ?? 0;
    const { perService, perOrg, total } = this.#limits;
    if (ofService >= perService || ofOrg >= perOrg || this.#total >= total) return false;
    this.#byOrg.set(org, ofOrg + 1);
    this.#total += 1;
    return true;
  }

  leave(org: string): void {
    const left = (this.#byOrg.get(org) ?? 0) - 1;
    if (left > 0) this.#byOrg.set(org, left);
    else this.#byOrg.delete(org);
    this.#total -= 1;
  }
}
