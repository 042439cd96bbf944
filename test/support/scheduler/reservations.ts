import { AUCTION_LIMITS } from "../../../src/scheduler/auctions/auction.ts";
import { Hosts } from "../../../src/scheduler/hosts/hosts.ts";
import { type ReleaseCause, Reservations } from "../../../src/scheduler/reservations/reservations.ts";
import { bid, seeded, TestHost, TestStore, TestTime } from "./fixture.ts";

export const TTL_MS = 5_000;
/** More offers than by default, so that some holds are released. */
const LIMITS = { ...AUCTION_LIMITS, sample: 5, enoughOffers: 3 };

/** A scheduler with hosts that answer only on demand. */
export function setUp(count: number, maxAuctions = 100) {
  const time = new TestTime();
  const hosts = new Hosts(time);
  const fleet = Array.from({ length: count }, (_, i) => new TestHost(hosts, i + 1));
  const store = new TestStore(() => time.now());
  const releases = new Map<ReleaseCause, number>();
  const observer = {
    auctionStarted: () => ({ bidSent: () => "", answerReceived: () => {}, ended: () => {} }),
    released: (holds: number, cause: ReleaseCause) =>
      void releases.set(cause, (releases.get(cause) ?? 0) + holds),
    awardRefused: () => {},
    expired: () => {},
  };
  const auctions = {
    ...{ bidders: hosts, clock: time, setTimer: time.setTimer, random: seeded(5), limits: LIMITS },
  };
  const limits = { ttlMs: TTL_MS, auctions: maxAuctions, kept: 3 };
  const reservations = new Reservations({ hosts, auctions, store, observer }, limits);
  const offering = () => {
    for (const host of fleet)
      host.onBid = ({ reservationId }) => host.offer({ imageLocal: true }, reservationId);
  };
  const reserve = async (id = "r1", excluded: number[] = []) =>
    (await reservations.reserve({ bid: bid(id), excluded: new Set(excluded) })).reservation;
  const reserveFor = async (claimant: string, id = "r1") =>
    (await reservations.reserve({ bid: bid(id), excluded: new Set(), claimant })).claim;
  const released = (id = "r1") =>
    fleet.filter((host) => host.released.includes(id)).map((host) => host.number);
  return { time, hosts, fleet, store, releases, reservations, offering, reserve, reserveFor, released };
}

/** Runs pending microtasks. */
export async function flushMicrotasks(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}
