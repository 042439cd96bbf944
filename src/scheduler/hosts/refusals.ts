/** A refusal weighs half as much after so long: what made a host refuse, a full disk or a race, is likely over then. */
const HALF_LIFE_MS = 30_000;
/** So many refusals within the span below, and the host is left out: its offers are worth nothing for a reason that does not pass at once. */
const REPEATED = 3;
const SPAN_MS = 60_000;
/** How long it is left out. Long enough that every create does not pay for it, short enough that a mended host is back before anybody looks. */
const PASS_OVER_MS = 30_000;
/** Refusals remembered of a host. */
const KEPT = 8;

interface Record {
  /** Monotonic, oldest first. */
  times: number[];
  backoffUntilMs: number;
}

/**
 * Which hosts offered and then refused the award. Each replica goes by what it was told itself; views that differ cost a refused award and no
 * more, since the host has the last word anyway.
 */
export class Refusals {
  readonly #now: () => number;
  readonly #hosts = new Map<number, Record>();

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A host refused an award, or did not answer it. True when it is left out from now on. */
  note(host: number): boolean {
    const now = this.#now();
    const known = this.#hosts.get(host) ?? { times: [], backoffUntilMs: 0 };
    known.times = [...known.times.filter((at) => now - at < SPAN_MS), now].slice(-KEPT);
    this.#hosts.set(host, known);
    if (known.times.length < REPEATED || known.backoffUntilMs > now) return false;
    known.backoffUntilMs = now + PASS_OVER_MS;
    // It gets a clean slate after that: one more refusal is not the fourth.
    known.times = known.times.slice(-1);
    return true;
  }

  /** Whether auctions leave it out now. */
  isInBackoff(host: number): boolean {
    return this.backoffLeftMs(host) > 0;
  }

  /** For how much longer it is left out; 0 when it is not. */
  backoffLeftMs(host: number): number {
    const known = this.#hosts.get(host);
    return known === undefined ? 0 : Math.max(0, known.backoffUntilMs - this.#now());
  }

  /** How much it has refused lately: 1 for a refusal just now, half of that after {@link HALF_LIFE_MS}, all added up. */
  score(host: number): number {
    const known = this.#hosts.get(host);
    if (known === undefined) return 0;
    const now = this.#now();
    return known.times.reduce((sum, at) => sum + 0.5 ** ((now - at) / HALF_LIFE_MS), 0);
  }

  /** How many hosts are left out now. Forgets those whose time is long over. */
  inBackoff(): number {
    const now = this.#now();
    let count = 0;
    for (const [host, { times, backoffUntilMs }] of this.#hosts) {
      if (backoffUntilMs > now) count++;
      else if (now - (times.at(-1) ?? 0) > SPAN_MS) this.#hosts.delete(host);
    }
    return count;
  }
}
