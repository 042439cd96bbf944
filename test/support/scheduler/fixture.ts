import type { Fault } from "../../../src/lib/faults/fault.ts";
import type {
  Bid,
  BidTerms,
  DeclineReason,
  Offer,
  Resources,
} from "../../../src/scheduler/auctions/offer.ts";
import { ANYWHERE, type Placement } from "../../../src/scheduler/auctions/placement.ts";
import type { SetTimer } from "../../../src/scheduler/auctions/run-auction.ts";
import type { AttachedHost, HostInfo, HostStream } from "../../../src/scheduler/hosts/attached-host.ts";
import type { Hosts } from "../../../src/scheduler/hosts/hosts.ts";
import type {
  ClaimResult,
  ExpiredReservation,
  FindResult,
  LiveReservation,
  PutResult,
  Reservation,
  ReservationStore,
} from "../../../src/scheduler/reservations/reservation-store.ts";
import { ManualClock } from "../manual-clock.ts";

/** Manual time that fires the timers it passes. */
export class TestTime extends ManualClock {
  #timers: { atMs: number; fn: () => void }[] = [];

  readonly setTimer: SetTimer = (ms, fn) => {
    const timer = { atMs: this.monotonicMs() + ms, fn };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  /** Timers that have been set and have not fired. */
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

/** The host of a stream: records what it receives, and answers on demand or by `onBid`. */
export class TestHost implements HostStream {
  readonly number: number;
  readonly host: AttachedHost;
  readonly bids: { bid: Bid; terms: BidTerms }[] = [];
  readonly released: string[] = [];
  ended: Fault | undefined;
  /** Whether it reads its messages. */
  reads = true;
  /** Called with each bid. */
  onBid: ((bid: Bid) => void) | undefined;

  constructor(hosts: Hosts, number: number, traits: Partial<HostInfo> = {}) {
    this.number = number;
    this.host = hosts.attach(hostInfo(number, traits), this);
  }

  sendBid(sent: Bid, terms: BidTerms): boolean {
    if (!this.reads) return false;
    this.bids.push({ bid: sent, terms });
    this.onBid?.(sent);
    return true;
  }

  sendRelease(reservationId: string): boolean {
    if (!this.reads) return false;
    this.released.push(reservationId);
    return true;
  }

  end(fault: Fault): void {
    this.ended = fault;
  }

  offer(traits: Partial<Offer> = {}, reservationId = "r1"): void {
    this.host.receiveAnswer(reservationId, { kind: "offer", offer: offer(this.number, traits) });
  }

  decline(reason: DeclineReason, largest?: Resources, reservationId = "r1"): void {
    this.host.receiveAnswer(reservationId, { kind: "decline", decline: { reason, largest } });
  }
}

interface Known {
  readonly reservation: Reservation;
  readonly claimant?: string;
  readonly claimedHost?: number;
}

function liveOf({ reservation, claimant, claimedHost = -1 }: Known): LiveReservation {
  return { reservation, ...(claimant === undefined ? {} : { claim: { claimant, hostNumber: claimedHost } }) };
}

/** The store in memory, on a given clock. */
export class TestStore implements ReservationStore {
  readonly #now: () => number;
  readonly known = new Map<string, Known>();
  /** Thrown by every call while set. */
  away: Fault | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  async find(id: string): Promise<FindResult> {
    const known = this.#live(id);
    return known ? { kind: "live", live: liveOf(known) } : { kind: "none", nowMs: this.#now() };
  }

  async put(reservation: Reservation, claimant?: string): Promise<PutResult> {
    const known = this.#live(reservation.id);
    if (known) return { kind: "live", live: liveOf(known) };
    if (this.#now() >= reservation.deadlineMs) return { kind: "late" };
    const claimedHost = reservation.offers[0]?.hostNumber;
    const isClaimed = claimant !== undefined && claimedHost !== undefined;
    this.known.set(reservation.id, { reservation, ...(isClaimed ? { claimant, claimedHost } : {}) });
    return { kind: "stored" };
  }

  async claim(id: string, claimant: string, hostNumber: number): Promise<ClaimResult> {
    const live = this.#live(id);
    if (!live) return { kind: "expired" };
    if (live.claimant !== undefined && live.claimant !== claimant) return { kind: "taken" };
    const found = live.reservation.offers.find((one) => one.hostNumber === hostNumber);
    if (!found) return { kind: "unknown" };
    this.known.set(id, { ...live, claimant, claimedHost: hostNumber });
    return { kind: "claimed", offer: found };
  }

  async remove(id: string): Promise<Reservation | undefined> {
    if (this.away) throw this.away;
    const reservation = this.known.get(id)?.reservation;
    this.known.delete(id);
    return reservation;
  }

  async expire(limit: number): Promise<readonly ExpiredReservation[]> {
    const due = [...this.known.values()].filter((one) => one.reservation.deadlineMs <= this.#now());
    return due.slice(0, limit).map(({ reservation, claimedHost }) => {
      this.known.delete(reservation.id);
      return { reservation, claimedHost };
    });
  }

  async list(limit: number): Promise<{ listed: readonly LiveReservation[]; total: number }> {
    const all = [...this.known.keys()].flatMap((id) => this.#live(id) ?? []);
    return { listed: all.slice(0, limit).map(liveOf), total: all.length };
  }

  #live(id: string) {
    if (this.away) throw this.away;
    const one = this.known.get(id);
    return one && one.reservation.deadlineMs > this.#now() ? one : undefined;
  }
}
