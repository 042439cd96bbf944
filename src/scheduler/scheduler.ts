import { hasReason } from "../lib/faults/fault.ts";
import type { Clock } from "../lib/runtime/clock.ts";
import { startLoop } from "../lib/runtime/lifecycle.ts";
import type { Redis } from "../lib/stores/redis.ts";
import { AUCTION_LIMITS } from "./auctions/auction.ts";
import { setTimer } from "./auctions/timer.ts";
import { Hosts } from "./hosts/hosts.ts";
import { observer } from "./observer.ts";
import { RedisReservations } from "./reservations/redis-reservations.ts";
import { KEPT_OFFERS, MAX_AUCTIONS, Reservations } from "./reservations/reservations.ts";
import { schedulerService } from "./service.ts";

/** A call of Reserve uses Redis before and after its bid window: this keeps each failure below a second. */
export const REDIS_TIMEOUT_MS = 700;
/** How late holds of an expired reservation are released. Hosts end them a little later themselves. */
const EXPIRE_EVERY_MS = 1_000;
/** Bounds how long one run of the loop keeps Redis busy. */
const EXPIRE_ROUNDS = 20;
const DROP_SILENT_EVERY_MS = 5_000;

export interface SchedulerSettings {
  /** Name of the replica, for logs. */
  readonly name: string;
  readonly region: string;
  readonly ttlMs: number;
  readonly windowMs: number;
  /** Auctions at once. Default {@link MAX_AUCTIONS}. */
  readonly auctions?: number;
}

/** Wires a scheduler up, without its server. */
export function makeScheduler(redis: Redis, clock: Clock, settings: SchedulerSettings) {
  const hosts = new Hosts(clock);
  const auctions = {
    ...{ bidders: hosts, clock, setTimer, random: Math.random },
    limits: { ...AUCTION_LIMITS, windowMs: settings.windowMs },
  };
  const store = new RedisReservations(redis, settings.region);
  const reservations = new Reservations(
    { hosts, auctions, store, observer },
    { ttlMs: settings.ttlMs, auctions: settings.auctions ?? MAX_AUCTIONS, kept: KEPT_OFFERS },
  );
  const stopLoops = [
    startLoop(EXPIRE_EVERY_MS, EXPIRE_EVERY_MS / 10, (signal) => expire(reservations, signal), {
      name: "expire reservations",
    }),
    startLoop(DROP_SILENT_EVERY_MS, 0, () => hosts.dropSilent(), { name: "drop silent hosts" }),
  ];
  return {
    hosts,
    reservations,
    service: schedulerService(reservations, hosts, settings),
    stop: async () => {
      await Promise.all(stopLoops.map((stop) => stop()));
    },
  };
}

async function expire(reservations: Reservations, signal: AbortSignal): Promise<void> {
  try {
    for (let round = 0; round < EXPIRE_ROUNDS && !signal.aborted; round++) {
      if ((await reservations.expire()) === 0) return;
    }
  } catch (err) {
    // The connection has logged that already.
    if (!hasReason(err, "REDIS_UNAVAILABLE")) throw err;
  }
}
