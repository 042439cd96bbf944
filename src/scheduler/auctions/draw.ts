/** What a host's last status lets expect of a bid request. */
export type Prospect = "likely" | "unlikely" | "excluded";

/**
 * Draws hosts at random, each at most once: the likely ones first, then the unlikely. A status is a
 * hint and decides only the order, since the host has the last word on its capacity.
 *
 * The shuffle stores only the places it has changed, so the cost of a draw depends on the hosts drawn
 * and not on the size of the fleet.
 */
export class Draw<H> {
  readonly #hosts: readonly H[];
  readonly #prospect: (host: H) => Prospect;
  readonly #random: () => number;
  readonly #moved = new Map<number, number>();
  readonly #unlikely: H[] = [];
  #next = 0;
  #preferred: readonly H[] = [];
  #preferredTaken = 0;

  /**
   * @param hosts must not change during the draw
   * @param random from 0 up to, not including, 1
   */
  constructor(hosts: readonly H[], prospect: (host: H) => Prospect, random: () => number) {
    this.#hosts = hosts;
    this.#prospect = prospect;
    this.#random = random;
  }

  /** Puts up to `count` likely ones of `hosts` before all others. Must be called before `take`. */
  prefer(hosts: readonly H[], count: number): void {
    if (hosts.length > 0) this.#preferred = new Draw(hosts, this.#prospect, this.#random).take(count, true);
  }

  /** Returns up to `count` more hosts; none when all (with `onlyLikely`, all likely ones) are drawn. */
  take(count: number, onlyLikely = false): H[] {
    const taken = this.#preferred.slice(this.#preferredTaken, this.#preferredTaken + count);
    this.#preferredTaken += taken.length;
    while (taken.length < count) {
      const host = this.#nextLikely() ?? (onlyLikely ? undefined : this.#unlikely.shift());
      if (host === undefined) break;
      taken.push(host);
    }
    return taken;
  }

  #nextLikely(): H | undefined {
    while (this.#next < this.#hosts.length) {
      const host = this.#shuffled();
      if (host === undefined || this.#preferred.includes(host)) continue;
      const prospect = this.#prospect(host);
      if (prospect === "likely") return host;
      if (prospect === "unlikely") this.#unlikely.push(host);
    }
    return undefined;
  }

  /** Does one step of a Fisher-Yates shuffle. */
  #shuffled(): H | undefined {
    const here = this.#next++;
    const there = here + Math.floor(this.#random() * (this.#hosts.length - here));
    const chosen = this.#moved.get(there) ?? there;
    this.#moved.set(there, this.#moved.get(here) ?? here);
    this.#moved.delete(here);
    return this.#hosts[chosen];
  }
}
