import { hasReason } from "../../../src/lib/faults/fault.ts";
import { startLoop } from "../../../src/lib/runtime/lifecycle.ts";
import { AUCTION_LIMITS } from "../../../src/scheduler/auctions/auction.ts";
import { Hosts } from "../../../src/scheduler/hosts/hosts.ts";
import { Attachment } from "../../../src/scheduler/hosts/service-attach.ts";
import type { ReservationStore } from "../../../src/scheduler/reservations/reservation-store.ts";
import { Reservations, type ReserveRequest } from "../../../src/scheduler/reservations/reservations.ts";
import type { Network } from "../world/network.ts";
import type { Life } from "../world/world.ts";
import type { Server } from "./streams.ts";

/** As configured by default. */
export const TTL_MS = 5_000;
const WINDOW_MS = 150;
const EXPIRE_MS = 1_000;
const SILENCE_MS = 5_000;

const NO_OBSERVER = {
  auctionStarted: () => ({ bidSent: () => "", answerReceived: () => {}, ended: () => {} }),
  released: () => {},
  awardRefused: () => {},
  expired: () => {},
};

/** What differs between replicas. */
interface Version {
  /** Whether it claims for whoever reserves; those of before did not. */
  readonly claims: boolean;
}

/** A life of a scheduler replica: its real domain and its real end of the hosts' streams. */
export function startScheduler(life: Life, net: Network, store: ReservationStore, version: Version): Server {
  const { clock } = life.process;
  const hosts = new Hosts(clock);
  const setTimer = (ms: number, fn: () => void) => {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  };
  const auctions = {
    ...{ bidders: hosts, clock, setTimer, random: () => Math.random() },
    limits: { ...AUCTION_LIMITS, sample: 2, windowMs: WINDOW_MS },
  };
  const reservations = new Reservations(
    { hosts, auctions, store, observer: NO_OBSERVER },
    { ttlMs: TTL_MS, auctions: 50, kept: 3 },
  );
  const expire = async (): Promise<void> => {
    try {
      while ((await reservations.expire()) > 0);
    } catch (err) {
      if (!hasReason(err, "REDIS_UNAVAILABLE")) throw err;
    }
  };
  startLoop(EXPIRE_MS, EXPIRE_MS / 10, expire, { name: "expire reservations" });
  startLoop(SILENCE_MS, 0, () => hosts.dropSilent(), { name: "drop silent hosts" });
  net.serve(life, {
    reserve: ({ claimant, ...request }: ReserveRequest) =>
      reservations.reserve({ ...request, ...(version.claims && claimant ? { claimant } : {}) }),
    claim: ({ id, claimant, host }: { id: string; claimant: string; host: number }) =>
      reservations.claim(id, claimant, host),
    release: ({
      id,
      awardedHost,
      refusedHosts,
    }: {
      id: string;
      awardedHost: number | undefined;
      refusedHosts: readonly number[];
    }) => reservations.release(id, awardedHost, refusedHosts),
  });
  // Of this life alone: what a life that is killed leaves on it goes with it.
  const draining = new AbortController().signal;
  const replica = { name: life.process.name, region: "ord", windowMs: WINDOW_MS };
  return {
    serve: (wire) => new Attachment(wire, draining, hosts, replica),
  };
}
