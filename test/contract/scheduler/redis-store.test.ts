import { afterEach, beforeEach, expect, test } from "vitest";
import { Redis } from "../../../src/lib/stores/redis.ts";
import { RedisReservations } from "../../../src/scheduler/reservations/redis-reservations.ts";
import { startRedis, type TestRedis } from "../../support/servers/redis.ts";
import { eventually, quiet } from "./fixture.ts";

let redis: TestRedis;
let admin: Redis;

beforeEach(async () => {
  redis = await startRedis();
  admin = new Redis(`unix:${redis.url}`, { log: quiet });
  await admin.ready(15_000);
});
afterEach(async () => {
  await admin.close();
  await redis.close();
});

const offers = [1, 2].map((hostNumber) => ({
  ...{ hostNumber, hostName: `host-${hostNumber}`, hostAddress: "127.0.0.1:1", region: "ord", zone: "a" },
  ...{ epoch: 2n ** 60n, freeAfter: { cpus: 1, memoryMb: 2, diskMb: 3 }, imageLocal: true, load: 0.25 },
  ...{ warmVms: 1, machines: 2, appMachines: 3, inFlight: 4 },
}));
const resources = { cpus: 1, memoryMb: 2, diskMb: 3 };
const reservation = (id: string, deadlineMs: number) => ({
  ...{ id, offers, hostsAsked: 2, app: "web", resources },
  deadlineMs,
});

test("returns exactly what was put in", async () => {
  const store = new RedisReservations(admin, "elsewhere");
  const made = reservation("r1", Date.now() + 60_000);

  expect(await store.put(made)).toEqual({ kind: "stored" });

  expect(await store.find("r1")).toEqual({ kind: "live", live: { reservation: made } });
  expect(await store.put({ ...made, hostsAsked: 9 }, "saga")).toEqual({
    kind: "live",
    live: { reservation: made },
  });
  expect(await store.claim("r1", "saga", 2)).toEqual({ kind: "claimed", offer: offers[1] });
  expect(await store.remove("r1")).toEqual(made);
  expect(await store.remove("r1")).toBeUndefined();
});

test("claims the best offer for a claimant, and returns the claim", async () => {
  const store = new RedisReservations(admin, "elsewhere");
  const made = reservation("r1", Date.now() + 60_000);
  const claimedOn = (hostNumber: number) => ({
    kind: "live",
    live: { reservation: made, claim: { claimant: "saga", hostNumber } },
  });

  expect(await store.put(made, "saga")).toEqual({ kind: "stored" });

  expect(await store.find("r1")).toEqual(claimedOn(1));
  expect(await store.put(made, "another")).toEqual(claimedOn(1));
  expect(await store.claim("r1", "another", 2)).toEqual({ kind: "taken" });
  await store.claim("r1", "saga", 2);
  expect(await store.find("r1")).toEqual(claimedOn(2));
});

test("lists live reservations by deadline, with their claims", async () => {
  const store = new RedisReservations(admin, "elsewhere");
  const soon = Date.now() + 60_000;
  const [later, sooner] = [reservation("r1", soon + 2), reservation("r2", soon + 1)];
  for (const one of [later, sooner, reservation("r3", soon + 3)]) await store.put(one);
  await store.claim("r1", "saga", 2);

  expect(await store.list(2)).toEqual({
    listed: [{ reservation: sooner }, { reservation: later, claim: { claimant: "saga", hostNumber: 2 } }],
    total: 3,
  });
  await admin.run("PEXPIREAT", (client) => client.flushall());
  expect(await store.list(2)).toEqual({ listed: [], total: 0 });
});

test("returns Redis's time when there is none", async () => {
  const before = Date.now();
  const found = await new RedisReservations(admin, "elsewhere").find("r1");
  const after = Date.now();

  expect(found).toMatchObject({ kind: "none" });
  const nowMs = found.kind === "none" ? found.nowMs : 0;
  expect(nowMs).toBeGreaterThanOrEqual(before);
  expect(nowMs).toBeLessThanOrEqual(after);
});

test("refuses a reservation that comes after its own deadline", async () => {
  const store = new RedisReservations(admin, "elsewhere");

  expect(await store.put(reservation("r1", Date.now() - 1))).toEqual({ kind: "late" });
  expect(await store.find("r1")).toMatchObject({ kind: "none" });
});

test("refuses more than its limit", async () => {
  const store = new RedisReservations(admin, "elsewhere", 2);
  const deadlineMs = Date.now() + 60_000;
  await store.put(reservation("r1", deadlineMs));
  await store.put(reservation("r2", deadlineMs));

  expect(await store.put(reservation("r3", deadlineMs))).toEqual({ kind: "full", limit: 2 });
  await store.remove("r1");
  expect(await store.put(reservation("r3", deadlineMs))).toEqual({ kind: "stored" });
});

test("gives each expired reservation to one caller only", async () => {
  const deadlineMs = Date.now() + 2_000;
  const stores = [new RedisReservations(admin, "elsewhere"), new RedisReservations(admin, "elsewhere")];
  const ids = Array.from({ length: 50 }, (_, i) => `r${i}`);
  await Promise.all(ids.map((id) => stores[0]?.put(reservation(id, deadlineMs))));
  await eventually(() => Date.now() > deadlineMs + 5).toBe(true);

  const expired = (await Promise.all(stores.map((store) => store.expire(100)))).flat();

  expect(expired.map((one) => one.reservation.id).toSorted()).toHaveLength(50);
  expect(new Set(expired.map((one) => one.reservation.id)).size).toBe(50);
  expect(await stores[0]?.expire(100)).toEqual([]);
});
