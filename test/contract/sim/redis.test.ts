import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Redis } from "../../../src/lib/stores/redis.ts";
import { RedisReservations } from "../../../src/scheduler/reservations/redis-reservations.ts";
import type { Reservation, ReservationStore } from "../../../src/scheduler/reservations/reservation-store.ts";
import { Reservations, storeOf } from "../../sim/stores/redis.ts";
import { offer, SMALL } from "../../support/scheduler/fixture.ts";
import { startRedis, type TestRedis } from "../../support/servers/redis.ts";
import { quiet } from "../scheduler/fixture.ts";

/** Few of each, so that calls meet. */
const IDS = ["r1", "r2", "r3"] as const;
const HOSTS = [1, 2] as const;
const LIMIT = 2;
/** Longer than any pause of a busy machine between two stores that are asked the same. */
const SOON_MS = 250;
const FAR_MS = 3_600_000;

let server: TestRedis;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(`unix:${server.url}`, { log: quiet, commandTimeoutMs: 60_000 });
  await redis.ready(20_000);
});
afterAll(async () => {
  await redis.close();
  await server.close();
});

/** A call that both stores are asked for. */
type Call = (store: ReservationStore, nowMs: number) => Promise<unknown>;

const id = fc.constantFrom(...IDS);
const host = fc.constantFrom(...HOSTS);
const call: fc.Arbitrary<{ readonly name: string; readonly call: Call; readonly passes?: boolean }> =
  fc.oneof(
    {
      weight: 3,
      arbitrary: id.map((r) => ({ name: `find ${r}`, call: (store: ReservationStore) => found(store, r) })),
    },
    {
      weight: 6,
      arbitrary: fc
        .tuple(
          id,
          fc.uniqueArray(host),
          fc.constantFrom(-1_000, FAR_MS),
          fc.constantFrom("a", "b", undefined),
        )
        .map(([r, hosts, inMs, claimant]) => ({
          name: `put ${r} on ${hosts} for ${inMs} ms and ${claimant}`,
          call: (store: ReservationStore, nowMs: number) =>
            store.put(reservation(r, hosts, nowMs + inMs), claimant),
        })),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(id, fc.uniqueArray(host)).map(([r, hosts]) => ({
        name: `put ${r} on ${hosts}, and wait until it is over`,
        call: (store: ReservationStore, nowMs: number) => store.put(reservation(r, hosts, nowMs + SOON_MS)),
        passes: true,
      })),
    },
    {
      weight: 6,
      arbitrary: fc.tuple(id, fc.constantFrom("a", "b"), host).map(([r, claimant, number]) => ({
        name: `claim ${r} for ${claimant} on ${number}`,
        call: (store: ReservationStore) => store.claim(r, claimant, number),
      })),
    },
    {
      weight: 2,
      arbitrary: id.map((r) => ({ name: `remove ${r}`, call: (store: ReservationStore) => store.remove(r) })),
    },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom(1, 5)
        .map((n) => ({ name: `expire ${n}`, call: (store: ReservationStore) => store.expire(n) })),
    },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom(1, 5)
        .map((n) => ({ name: `list ${n}`, call: (store: ReservationStore) => store.list(n) })),
    },
  );

test("the simulated Redis answers whatever is asked of it as the real one does", {
  timeout: 120_000,
}, async () => {
  let region = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 5, maxLength: 25 }), async (calls) => {
      const real = new RedisReservations(redis, `region${region++}`, LIMIT);
      const simulated = storeOf(new Reservations(() => Date.now(), LIMIT), async (script) => script());
      for (const { name, call: ask, passes } of calls) {
        const nowMs = Date.now();
        const [expected, given] = [await ask(real, nowMs), await ask(simulated, nowMs)];
        // A store that is asked when it is over already answers something else.
        if (passes) fc.pre(Date.now() < nowMs + SOON_MS);
        expect(given, name).toEqual(expected);
        if (passes) await pause(nowMs + SOON_MS + 5 - Date.now());
      }
    }),
    { numRuns: 60 },
  );
});

/** What time it is there differs by what the call took. */
async function found(store: ReservationStore, r: string): Promise<unknown> {
  const answer = await store.find(r);
  return answer.kind === "none"
    ? { kind: "none", isNow: Math.abs(answer.nowMs - Date.now()) < 60_000 }
    : answer;
}

function reservation(r: string, hosts: readonly number[], deadlineMs: number): Reservation {
  const offers = hosts.map((number) => offer(number));
  return { id: r, offers, hostsAsked: hosts.length, app: "web", resources: SMALL, deadlineMs };
}
