import type { Clock } from "../../lib/runtime/clock.ts";

/** A refusal counts half as much after this time: its cause, such as a full disk, has likely gone. */
const HALF_LIFE_MS = 30_000;
/** So many refusals within {@link SPAN_MS} begin a backoff. */
const REFUSALS_TO_BACKOFF = 3;
const SPAN_MS = 60_000;
/** Long enough that few creates pay for a broken host, short enough that a mended one is soon back. */
const BACKOFF_MS = 30_000;
const KEPT = 8;

interface HostRefusals {
  /** Monotonic, oldest first. */
  times: number[];
  backoffUntilMs: number;
}

/**
 * Records which hosts have offered and then refused the award. Each replica knows only the refusals
 * reported to it; where replicas differ, an award is refused once more.
 */
export class Refusals {
  readonly #clock: Clock;
  readonly #hosts = new Map<number, HostRefusals>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Records a refusal. Returns true when it begins a backoff. */
  add(host: number): boolean {
    const now = this.#clock.monotonicMs();
    const known = this.#hosts.get(host) ?? { times: [], backoffUntilMs: 0 };
    known.times = [...known.times.filter((at) => now - at < SPAN_MS), now].slice(-KEPT);
    this.#hosts.set(host, known);
    if (known.times.length < REFUSALS_TO_BACKOFF || known.backoffUntilMs > now) return false;
    known.backoffUntilMs = now + BACKOFF_MS;
    // After the backoff, one more refusal does not begin the next.
    known.times = known.times.slice(-1);
    return true;
  }

  isInBackoff(host: number): boolean {
    return this.backoffLeftMs(host) > 0;
  }

  /** Returns the rest of a host's backoff; 0 when it is in none. */
  backoffLeftMs(host: number): number {
    const known = this.#hosts.get(host);
    return known === undefined ? 0 : Math.max(0, known.backoffUntilMs - this.#clock.monotonicMs());
  }

  /** Sums up the refusals of a host: 1 for one just now, half of that after {@link HALF_LIFE_MS}. */
  score(host: number): number {
    const known = this.#hosts.get(host);
    if (known === undefined) return 0;
    const now = this.#clock.monotonicMs();
    return known.times.reduce((sum, at) => sum + 0.5 ** ((now - at) / HALF_LIFE_MS), 0);
  }

  /** Counts the hosts in backoff, and forgets old refusals. */
  inBackoff(): number {
    const now = this.#clock.monotonicMs();
    let count = 0;
    for (const [host, { times, backoffUntilMs }] of this.#hosts) {
      if (backoffUntilMs > now) count++;
      else if (now - (times.at(-1) ?? 0) > SPAN_MS) this.#hosts.delete(host);
    }
    return count;
  }
}
