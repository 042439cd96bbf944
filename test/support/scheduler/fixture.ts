import { ManualClock } from "../../../src/lib/runtime/clock.ts";
import type { Fault } from "../../../src/lib/runtime/fault.ts";
import type { After } from "../../../src/scheduler/auctions/auctioneer.ts";
import type { Bid, DeclineReason, Offer, Resources } from "../../../src/scheduler/auctions/offer.ts";
import { ANYWHERE, type Placement } from "../../../src/scheduler/auctions/placement.ts";
import type { AttachedHost, BidTerms, HostInfo } from "../../../src/scheduler/hosts/attached-host.ts";
import type { HostStream, Hosts } from "../../../src/scheduler/hosts/hosts.ts";
import type {
  Claimed,
  Expired,
  Living,
  Opened,
  Put,
  Reservation,
  ReservationStore,
} from "../../../src/scheduler/reservations/reservation-store.ts";

/** Time that moves when it is told to, and rings the timers it passes. */
export class TestTime extends ManualClock {
  #timers: { atMs: number; fn: () => void }[] = [];

  readonly after: After = (ms, fn) => {
    const timer = { atMs: this.monotonicMs() + ms, fn };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  /** Timers that have been set and not yet rung. */
  get timers(): number {
    return this.#timers.length;
  }

  /** Lets time pass, timer by timer. */
  pass(ms: number): void {
    const endMs = this.monotonicMs() + ms;
    for (;;) {
      const [next] = this.#timers.filter((t) => t.atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
      if (!next) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.advance(next.atMs - this.monotonicMs());
      next.fn();
    }
    this.advance(endMs - this.monotonicMs());
  }
}

/** Random numbers that are the same in every run. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const SMALL: Resources = { cpus: 1, memoryMb: 256, diskMb: 1_024 };
export const LARGE: Resources = { cpus: 8, memoryMb: 16_384, diskMb: 100_000 };

export function bid(reservationId = "r1", resources = SMALL, placement: Partial<Placement> = {}): Bid {
  return {
    reservationId,
    resources,
    imageDigest: "sha256:abc",
    app: "web",
    placement: { ...ANYWHERE, ...placement },
  };
}

export function offer(hostNumber: number, traits: Partial<Offer> = {}): Offer {
  return {
    hostNumber,
    hostName: `host-${hostNumber}`,
    hostAddress: `127.0.0.1:${20_000 + hostNumber}`,
    epoch: 1n,
    freeAfter: LARGE,
    imageLocal: false,
    load: 0,
    warmVms: 0,
    machines: 0,
    appMachines: 0,
    inFlight: 0,
    region: "ord",
    zone: "a",
    ...traits,
  };
}

export function hostInfo(number: number, traits: Partial<HostInfo> = {}): HostInfo {
  return {
    number,
    name: `host-${number}`,
    identity: `identity-${number}`,
    region: "ord",
    zone: "a",
    address: `127.0.0.1:${20_000 + number}`,
    capacity: LARGE,
    vmm: "sim",
    acceleration: "none",
    isolation: "development",
    vmmReason: "a test",
    labels: {},
    ...traits,
  };
}

/** The far end of a host's stream: notes what it is sent, and answers when it is told to, or at once when asked to. */
export class TestHost implements HostStream {
  readonly number: number;
  readonly host: AttachedHost;
  readonly bids: { bid: Bid; terms: BidTerms }[] = [];
  readonly released: string[] = [];
  ended: Fault | undefined;
  /** Whether it takes what it is sent. */
  reads = true;
  /** How it answers each bid by itself. */
  onBid: ((bid: Bid) => void) | undefined;

  constructor(hosts: Hosts, number: number, traits: Partial<HostInfo> = {}) {
    this.number = number;
    this.host = hosts.attach(hostInfo(number, traits), this);
  }

  ask(asked: Bid, terms: BidTerms): boolean {
    if (!this.reads) return false;
    this.bids.push({ bid: asked, terms });
    this.onBid?.(asked);
    return true;
  }

  letGo(reservationId: string): boolean {
    if (!this.reads) return false;
    this.released.push(reservationId);
    return true;
  }

  end(fault: Fault): void {
    this.ended = fault;
  }

  offer(traits: Partial<Offer> = {}, reservationId = "r1"): void {
    this.host.answered(reservationId, { kind: "offer", offer: offer(this.number, traits) });
  }

  decline(reason: DeclineReason, largest?: Resources, reservationId = "r1"): void {
    this.host.answered(reservationId, { kind: "decline", decline: { reason, largest } });
  }
}

interface Known {
  readonly reservation: Reservation;
  readonly claimant?: string;
  readonly claimedHost?: number;
}

function living({ reservation, claimant, claimedHost = -1 }: Known): Living {
  return { reservation, ...(claimant === undefined ? {} : { claim: { claimant, hostNumber: claimedHost } }) };
}

/** What the Redis store does, in memory and on a given clock. */
export class TestStore implements ReservationStore {
  readonly #now: () => number;
  readonly known = new Map<string, Known>();
  /** Thrown by every call while set. */
  away: Fault | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  async open(id: string): Promise<Opened> {
    const known = this.#living(id);
    return known ? { kind: "lives", ...living(known) } : { kind: "new", nowMs: this.#now() };
  }

  async put(reservation: Reservation, claimant?: string): Promise<Put> {
    const known = this.#living(reservation.id);
    if (known) return { kind: "lives", ...living(known) };
    if (this.#now() >= reservation.deadlineMs) return { kind: "late" };
    const claimedHost = reservation.offers[0]?.hostNumber;
    const isClaimed = claimant !== undefined && claimedHost !== undefined;
    this.known.set(reservation.id, { reservation, ...(isClaimed ? { claimant, claimedHost } : {}) });
    return { kind: "stored" };
  }

  async claim(id: string, claimant: string, hostNumber: number): Promise<Claimed> {
    const living = this.#living(id);
    if (!living) return { kind: "expired" };
    if (living.claimant !== undefined && living.claimant !== claimant) return { kind: "taken" };
    const found = living.reservation.offers.find((one) => one.hostNumber === hostNumber);
    if (!found) return { kind: "unknown" };
    this.known.set(id, { ...living, claimant, claimedHost: hostNumber });
    return { kind: "claimed", offer: found };
  }

  async remove(id: string): Promise<Reservation | undefined> {
    if (this.away) throw this.away;
    const reservation = this.known.get(id)?.reservation;
    this.known.delete(id);
    return reservation;
  }

  async sweep(limit: number): Promise<readonly Expired[]> {
    const due = [...this.known.values()].filter((one) => one.reservation.deadlineMs <= this.#now());
    return due.slice(0, limit).map(({ reservation, claimedHost }) => {
      this.known.delete(reservation.id);
      return { reservation, claimedHost };
    });
  }

  async list(limit: number): Promise<{ listed: readonly Living[]; total: number }> {
    const all = [...this.known.keys()].flatMap((id) => this.#living(id) ?? []);
    return { listed: all.slice(0, limit).map(living), total: all.length };
  }

  #living(id: string) {
    if (this.away) throw this.away;
    const one = this.known.get(id);
    return one && one.reservation.deadlineMs > this.#now() ? one : undefined;
  }
}
