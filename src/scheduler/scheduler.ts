import type { Clock } from "../lib/runtime/clock.ts";
import { hasReason } from "../lib/runtime/fault.ts";
import { startLoop } from "../lib/runtime/lifecycle.ts";
import type { Redis } from "../lib/stores/redis.ts";
import { AUCTION_LIMITS } from "./auctions/auction.ts";
import { Auctioneer } from "./auctions/auctioneer.ts";
import { after } from "./auctions/timer.ts";
import { Hosts } from "./hosts/hosts.ts";
import { observer } from "./observe.ts";
import { RedisReservations } from "./reservations/redis-reservations.ts";
import { KEPT_OFFERS, MAX_AUCTIONS, Reservations } from "./reservations/reservations.ts";
import { schedulerService } from "./service.ts";

/**
 * How long Redis may take. A reservation asks it twice around a bid window: either call fails within a second, whenever
 * Redis goes.
 */
export const REDIS_TIMEOUT_MS = 700;
/** How late an expired reservation's holds are let go, at most; hosts do it by themselves a little later. */
const SWEEP_MS = 1_000;
/** A round of sweeping that ends so many rounds of reservations has been fair to everybody else. */
const SWEEP_ROUNDS = 20;
const SILENCE_CHECK_MS = 5_000;

/** What {@link makeScheduler} needs to know. */
export interface SchedulerSettings {
  /** Names the replica, for logs. */
  readonly name: string;
  readonly region: string;
  readonly ttlMs: number;
  readonly windowMs: number;
  /** Auctions at once. Default {@link MAX_AUCTIONS}. */
  readonly auctions?: number;
}

/** Puts the scheduler's parts together, apart from the server: also for tests, which serve it themselves. */
export function makeScheduler(redis: Redis, clock: Clock, settings: SchedulerSettings) {
  const hosts = new Hosts(clock);
  const limits = { ...AUCTION_LIMITS, windowMs: settings.windowMs };
  const auctioneer = new Auctioneer(hosts, clock, after, Math.random, limits);
  const store = new RedisReservations(redis, settings.region);
  const reservations = new Reservations(
    { hosts, auctioneer, store, observer },
    Math.random,
    () => clock.monotonicMs(),
    { ttlMs: settings.ttlMs, auctions: settings.auctions ?? MAX_AUCTIONS, kept: KEPT_OFFERS },
  );
  const stopSweep = startLoop(SWEEP_MS, SWEEP_MS / 10, (signal) => sweep(reservations, signal), {
    name: "sweep reservations",
  });
  const stopSilence = startLoop(SILENCE_CHECK_MS, 0, () => hosts.dropSilent(), { name: "drop silent hosts" });
  return {
    hosts,
    reservations,
    service: schedulerService(reservations, hosts, settings),
    stop: async () => {
      await Promise.all([stopSweep(), stopSilence()]);
    },
  };
}

async function sweep(reservations: Reservations, signal: AbortSignal): Promise<void> {
  try {
    for (let round = 0; round < SWEEP_ROUNDS && !signal.aborted; round++) {
      if ((await reservations.sweep()) === 0) return;
    }
  } catch (err) {
    // Said once by the connection itself, and nothing can be swept without it.
    if (!hasReason(err, "REDIS_UNAVAILABLE")) throw err;
  }
}
