import { Fault } from "../../../src/lib/faults/fault.ts";
import type { Offer } from "../../../src/scheduler/auctions/offer.ts";
import type {
  ClaimResult,
  ExpiredReservation,
  FindResult,
  LiveReservation,
  PutResult,
  Reservation,
  ReservationStore,
} from "../../../src/scheduler/reservations/reservation-store.ts";
import { Random } from "../world/random.ts";
import type { Life, Process } from "../world/world.ts";

/** How long a key lives beyond all deadlines, as the real scripts have it. */
const GARBAGE_MS = 60_000;
/** As the scheduler waits for Redis. */
const TIMEOUT_MS = 700;

interface Hash {
  readonly reservation: Reservation;
  readonly hosts: ReadonlySet<number>;
  readonly goneMs: number;
  readonly claimant?: string;
  readonly claimedHost?: number;
}

/**
 * What the scripts of src/scheduler/reservations/redis-scripts.ts do, one method for each, atomically, by the clock it is given.
 * test/contract/sim/redis.test.ts holds it to the real Redis.
 */
export class Reservations {
  readonly #now: () => number;
  readonly #limit: number;
  #hashes = new Map<string, Hash>();
  /** The sorted set: id and deadline. */
  #deadlines = new Map<string, number>();
  #deadlinesGoneMs = 0;
  /** Told of what is stored and granted. */
  onStored: (reservation: Reservation) => void = () => {};
  onClaimed: (reservation: Reservation, claimant: string, offer: Offer) => void = () => {};

  constructor(now: () => number, limit = 60_000) {
    this.#now = now;
    this.#limit = limit;
  }

  /** Forgets everything. */
  flush(): void {
    this.#hashes = new Map();
    this.#deadlines = new Map();
  }

  find(id: string): FindResult {
    const known = this.#live(id);
    return known ? { kind: "live", live: liveOf(known) } : { kind: "none", nowMs: this.#now() };
  }

  put(reservation: Reservation, claimant?: string): PutResult {
    const { id, deadlineMs, offers } = reservation;
    const known = this.#live(id);
    if (known) return { kind: "live", live: liveOf(known) };
    if (this.#now() >= deadlineMs) return { kind: "late" };
    if (this.#sorted().length >= this.#limit) return { kind: "full", limit: this.#limit };
    const goneMs = this.#now() + GARBAGE_MS;
    const hosts = new Set(offers.map((offer) => offer.hostNumber));
    const best = offers[0];
    const claim = claimant && best ? { claimant, claimedHost: best.hostNumber } : {};
    this.#hashes.set(id, { reservation, hosts, goneMs, ...claim });
    this.#deadlines.set(id, deadlineMs);
    this.#deadlinesGoneMs = goneMs;
    this.onStored(reservation);
    if (claimant && best) this.onClaimed(reservation, claimant, best);
    return { kind: "stored" };
  }

  claim(id: string, claimant: string, hostNumber: number): ClaimResult {
    const known = this.#live(id);
    if (!known) return { kind: "expired" };
    if (known.claimant !== undefined && known.claimant !== claimant) return { kind: "taken" };
    const offer = offerOf(known, hostNumber);
    if (!offer) return { kind: "unknown" };
    this.#hashes.set(id, { ...known, claimant, claimedHost: hostNumber });
    this.onClaimed(known.reservation, claimant, offer);
    return { kind: "claimed", offer };
  }

  /** What no script does: notes a claim without looking. To show that it would be found out. */
  overwrite(id: string, claimant: string, claimedHost: number, offer: Offer): void {
    const known = this.#hash(id);
    if (!known) return;
    this.#hashes.set(id, { ...known, claimant, claimedHost });
    this.onClaimed(known.reservation, claimant, offer);
  }

  remove(id: string): Reservation | undefined {
    const known = this.#hash(id);
    this.#hashes.delete(id);
    this.#deadlines.delete(id);
    return known?.reservation;
  }

  due(limit: number): readonly string[] {
    const due = this.#sorted().filter(([, deadlineMs]) => deadlineMs <= this.#now());
    return due.slice(0, limit).map(([id]) => id);
  }

  expire(ids: readonly string[]): readonly ExpiredReservation[] {
    const due = new Map(this.#sorted());
    return ids.flatMap((id) => {
      const deadlineMs = due.get(id);
      if (deadlineMs === undefined || deadlineMs > this.#now()) return [];
      const known = this.#hash(id);
      this.#hashes.delete(id);
      this.#deadlines.delete(id);
      return known ? [{ reservation: known.reservation, claimedHost: known.claimedHost }] : [];
    });
  }

  live(limit: number): { readonly ids: readonly string[]; readonly total: number } {
    const live = this.#sorted().filter(([, deadlineMs]) => deadlineMs > this.#now());
    return { ids: live.slice(0, limit).map(([id]) => id), total: live.length };
  }

  show(ids: readonly string[]): readonly LiveReservation[] {
    return ids.flatMap((id) => {
      const known = this.#hash(id);
      return known ? [liveOf(known)] : [];
    });
  }

  #hash(id: string): Hash | undefined {
    const known = this.#hashes.get(id);
    return known && known.goneMs > this.#now() ? known : undefined;
  }

  #live(id: string): Hash | undefined {
    const known = this.#hash(id);
    return known && this.#now() < known.reservation.deadlineMs ? known : undefined;
  }

  #sorted(): (readonly [string, number])[] {
    if (this.#now() >= this.#deadlinesGoneMs) return [];
    return [...this.#deadlines].sort(([a, one], [b, other]) => one - other || (a < b ? -1 : 1));
  }
}

function liveOf({ reservation, claimant, claimedHost = Number.NaN }: Hash): LiveReservation {
  return { reservation, ...(claimant === undefined ? {} : { claim: { claimant, hostNumber: claimedHost } }) };
}

function offerOf({ reservation, hosts }: Hash, hostNumber: number): Offer | undefined {
  return hosts.has(hostNumber) ? reservation.offers.find((one) => one.hostNumber === hostNumber) : undefined;
}

/** A store whose every method runs one script, or two where the real adapter does. */
export function storeOf(scripts: Reservations, run: <T>(script: () => T) => Promise<T>): ReservationStore {
  return {
    find: (id) => run(() => scripts.find(id)),
    put: (reservation, claimant) => run(() => scripts.put(reservation, claimant)),
    claim: (id, claimant, hostNumber) => run(() => scripts.claim(id, claimant, hostNumber)),
    remove: (id) => run(() => scripts.remove(id)),
    async expire(limit) {
      const ids = await run(() => scripts.due(limit));
      return ids.length === 0 ? [] : run(() => scripts.expire(ids));
    },
    async list(limit) {
      const { ids, total } = await run(() => scripts.live(limit));
      return { listed: ids.length === 0 ? [] : await run(() => scripts.show(ids)), total };
    },
  };
}

/**
 * A region's Redis. Faults: it is away, it forgets everything, a connection breaks before or after a script (which has then run all the
 * same), and its clock is its process's.
 */
export class Redis {
  readonly reservations: Reservations;
  readonly process: Process;
  readonly random: Random;
  isAway = false;
  breaks = 0;

  constructor(process: Process) {
    this.process = process;
    this.random = new Random(process.world.seed, "redis");
    this.reservations = new Reservations(() => process.wallMs());
  }

  /** The store as a scheduler that lives has it. */
  connect(life: Life): ReservationStore {
    return storeOf(this.reservations, (script) => this.run(life, script));
  }

  /** Runs a script, there and back. */
  async run<T>(life: Life, script: () => T): Promise<T> {
    await this.#travel(life);
    const answer = script();
    await this.#travel(life);
    return answer;
  }

  async #travel(life: Life): Promise<void> {
    const isLost = this.isAway || this.random.chance(this.breaks);
    const ms = isLost ? this.random.between(0, TIMEOUT_MS) : this.random.between(0.1, 0.5);
    await new Promise<void>((resolve) => life.world.after(life, ms, resolve));
    if (isLost || this.isAway) throw unavailable();
  }
}

function unavailable(): Fault {
  return new Fault("UNAVAILABLE", "REDIS_UNAVAILABLE", "Redis cannot be reached");
}
