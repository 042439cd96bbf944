/** How a host is seen before it is asked, from what it said last. */
export type Prospect = "likely" | "unlikely" | "excluded";

/**
 * Draws hosts at random, each at most once: first those likely to have room, then the others. What a host said last is a
 * hint and decides only the order: the host has the last word on its capacity, so a hint never keeps it from being asked.
 *
 * Nothing of the fleet is copied: the shuffle remembers only the places it has touched, so in a fleet with room a draw
 * costs what it draws, however many hosts there are.
 */
export class Draw<H> {
  readonly #hosts: readonly H[];
  readonly #prospect: (host: H) => Prospect;
  readonly #random: () => number;
  readonly #moved = new Map<number, number>();
  readonly #unlikely: H[] = [];
  #next = 0;
  #preferred: readonly H[] = [];
  #given = 0;

  /**
   * @param hosts must not change while it is drawn from
   * @param random from 0 up to, not including, 1
   */
  constructor(hosts: readonly H[], prospect: (host: H) => Prospect, random: () => number) {
    this.#hosts = hosts;
    this.#prospect = prospect;
    this.#random = random;
  }

  /** Draws up to `count` likely ones of `hosts`, which are given before all others. To be called first; `hosts` may change afterwards. */
  prefer(hosts: readonly H[], count: number): void {
    if (hosts.length > 0) this.#preferred = new Draw(hosts, this.#prospect, this.#random).take(count, true);
  }

  /** Up to `count` more hosts. Empty: all have been drawn, or all the likely ones with `onlyLikely`. */
  take(count: number, onlyLikely = false): H[] {
    const taken = this.#preferred.slice(this.#given, this.#given + count);
    this.#given += taken.length;
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

  /** One step of Fisher and Yates, on a map of the places that differ from the original order. */
  #shuffled(): H | undefined {
    const here = this.#next++;
    const there = here + Math.floor(this.#random() * (this.#hosts.length - here));
    const chosen = this.#moved.get(there) ?? there;
    this.#moved.set(there, this.#moved.get(here) ?? here);
    this.#moved.delete(here);
    return this.#hosts[chosen];
  }
}
