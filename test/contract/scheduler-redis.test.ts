import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Redis } from "../../src/lib/redis.ts";
import { RedisReservations } from "../../src/scheduler/adapters/redis-reservations.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import {
  eventually,
  quiet,
  REGION,
  startScheduler,
  TestHost,
  type TestScheduler,
} from "./scheduler-fixture.ts";

const UNAVAILABLE = { code: "UNAVAILABLE", reason: "REDIS_UNAVAILABLE" };

/** The scheduler gives Redis 700 ms; the rest is for a busy machine. */
const IN_TIME_MS = 1_500;

let redis: TestRedis;
let scheduler: TestScheduler;
let admin: Redis;
let hosts: TestHost[];

beforeEach(async () => {
  redis = await startRedis();
  admin = new Redis(`unix:${redis.url}`, { log: quiet });
  await admin.ready(5_000);
  await restartScheduler();
});
afterEach(async () => {
  await Promise.all(hosts.map((host) => host.close()));
  await scheduler.close();
  await admin.close();
  await redis.close();
});

async function restartScheduler(settings: Parameters<typeof startScheduler>[1] = {}): Promise<void> {
  await Promise.all((hosts ?? []).map((host) => host.close()));
  await scheduler?.close();
  scheduler = await startScheduler(redis.url, settings);
  await scheduler.ready();
  hosts = [1, 2].map((number) => new TestHost(number, [scheduler.address]));
  await eventually(() => hosts.every((host) => host.attached())).toBe(true);
}

function held(): number[] {
  return hosts.map((host) => host.holds.size);
}

async function keys(): Promise<string[]> {
  return (await admin.run("KEYS", (client) => client.keys("*"))).sort();
}

/** How long `call` takes to be refused because Redis is away. */
async function refusedAfter(call: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await expect(call()).rejects.toMatchObject(UNAVAILABLE);
  return performance.now() - started;
}

/** What holds capacity, and for whom. */
async function reserved() {
  const { reservation } = await scheduler.reserve();
  if (!reservation?.expireTime) throw new Error("the answer has no reservation");
  return { id: reservation.id, expiresAt: reservation.expireTime.getTime() };
}

describe("time", () => {
  beforeEach(() => restartScheduler({ ttlMs: 500 }));

  test("a claim after the deadline is refused", async () => {
    const { id, expiresAt } = await reserved();
    await scheduler.claim(id, "saga", 1);
    await eventually(() => Date.now() > expiresAt).toBe(true);

    await expect(scheduler.claim(id, "saga", 1)).rejects.toMatchObject({ reason: "RESERVATION_EXPIRED" });
  });

  test("reservations that nobody ends are swept: holds and keys are gone a second later", async () => {
    await reserved();
    await reserved();
    expect(held()).toEqual([2, 2]);

    await eventually(held).toEqual([0, 0]);
    await eventually(keys).toEqual([]);
  });

  test("the hold of a claimed offer is left alone by the sweep: its award may be on the way", async () => {
    const { id } = await reserved();
    await scheduler.claim(id, "saga", 2);

    await eventually(held).toEqual([0, 1]);
    await eventually(keys).toEqual([]);
  });
});

test("all keys of a region share a hash tag and end by themselves when no scheduler is left", async () => {
  const { id } = await reserved();

  const found = await keys();
  expect(found).toEqual([`windhover:{${REGION}}:deadlines`, `windhover:{${REGION}}:reservation:${id}`]);
  for (const key of found) {
    const ttlMs = await admin.run("PTTL", (client) => client.pttl(key));
    expect(ttlMs).toBeGreaterThan(5_000);
    expect(ttlMs).toBeLessThanOrEqual(60_000);
  }
});

describe("the store", () => {
  const offers = [1, 2].map((hostNumber) => ({
    ...{ hostNumber, hostName: `host-${hostNumber}`, hostAddress: "127.0.0.1:1", region: "ord", zone: "a" },
    ...{ epoch: 2n ** 60n, freeAfter: { cpus: 1, memoryMb: 2, diskMb: 3 }, imageLocal: true, load: 0.25 },
    ...{ warm: 1, machines: 2, appMachines: 3, inFlight: 4 },
  }));
  const resources = { cpus: 1, memoryMb: 2, diskMb: 3 };
  const reservation = (id: string, deadlineMs: number) => ({
    ...{ id, offers, hostsAsked: 2, app: "web", resources },
    deadlineMs,
  });

  test("gives back exactly what was put in", async () => {
    const store = new RedisReservations(admin, "elsewhere");
    const made = reservation("r1", Date.now() + 5_000);

    expect(await store.put(made)).toEqual({ kind: "stored" });

    expect(await store.open("r1")).toEqual({ kind: "lives", reservation: made });
    expect(await store.put({ ...made, hostsAsked: 9 })).toEqual({ kind: "lives", reservation: made });
    expect(await store.claim("r1", "saga", 2)).toEqual({ kind: "claimed", offer: offers[1] });
    expect(await store.remove("r1")).toEqual(made);
    expect(await store.remove("r1")).toBeUndefined();
  });

  test("lists those that live by deadline, with who has claimed them", async () => {
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

  test("says what time it is by Redis's clock", async () => {
    const opened = await new RedisReservations(admin, "elsewhere").open("r1");

    expect(opened).toMatchObject({ kind: "new" });
    expect(Math.abs((opened.kind === "new" ? opened.nowMs : 0) - Date.now())).toBeLessThan(1_000);
  });

  test("refuses a reservation that comes after its own deadline", async () => {
    const store = new RedisReservations(admin, "elsewhere");

    expect(await store.put(reservation("r1", Date.now() - 1))).toEqual({ kind: "late" });
    expect(await store.open("r1")).toMatchObject({ kind: "new" });
  });

  test("refuses more than its bound", async () => {
    const store = new RedisReservations(admin, "elsewhere", 2);
    const deadlineMs = Date.now() + 5_000;
    await store.put(reservation("r1", deadlineMs));
    await store.put(reservation("r2", deadlineMs));

    expect(await store.put(reservation("r3", deadlineMs))).toEqual({ kind: "full", limit: 2 });
    await store.remove("r1");
    expect(await store.put(reservation("r3", deadlineMs))).toEqual({ kind: "stored" });
  });

  test("gives each expired reservation to one of those who sweep", async () => {
    const deadlineMs = Date.now() + 200;
    const stores = [new RedisReservations(admin, "elsewhere"), new RedisReservations(admin, "elsewhere")];
    for (let i = 0; i < 50; i++) await stores[0]?.put(reservation(`r${i}`, deadlineMs));
    await eventually(() => Date.now() > deadlineMs + 5).toBe(true);

    const swept = (await Promise.all(stores.map((store) => store.sweep(100)))).flat();

    expect(swept.map((one) => one.reservation.id).toSorted()).toHaveLength(50);
    expect(new Set(swept.map((one) => one.reservation.id)).size).toBe(50);
    expect(await stores[0]?.sweep(100)).toEqual([]);
  });
});

describe("when Redis loses everything", () => {
  test("scripts are loaded again, and auctions go on", async () => {
    await reserved();
    await admin.run("FLUSH", (client) => client.flushall().then(() => client.script("FLUSH")));

    const { id } = await reserved();

    await expect(scheduler.claim(id, "saga", 1)).resolves.toMatchObject({ offer: { hostNumber: 1 } });
  });

  test("in the middle of an auction, the reservation is made all the same", async () => {
    const flushed = Promise.withResolvers<void>();
    const flush = () => admin.run("FLUSH", (client) => client.flushall().then(() => client.script("FLUSH")));
    const mute = new TestHost(3, [scheduler.address], {
      answer: (asked, host) => {
        flush().then(() => flushed.resolve(), flushed.reject);
        return host.hold(asked);
      },
    });
    hosts.push(mute);
    await eventually(() => mute.attached()).toBe(true);

    const { id } = await reserved();
    await flushed.promise;

    expect(mute.asked).toEqual([id]);
    const outcome = await scheduler.claim(id, "saga", 1).catch((err: unknown) => err);
    // Flushed before it was stored, it is there; flushed after, it is gone. Either way nobody is told something wrong.
    expect(outcome).toMatchObject(
      outcome instanceof Error ? { reason: "RESERVATION_EXPIRED" } : { offer: {} },
    );
  });

  test("a release still frees the holds", async () => {
    const { id } = await reserved();
    await admin.run("FLUSHALL", (client) => client.flushall());

    await expect(scheduler.claim(id, "saga", 1)).rejects.toMatchObject({ reason: "RESERVATION_EXPIRED" });
    await scheduler.release(id);

    await eventually(held).toEqual([0, 0]);
  });
});

describe("when Redis is stopped", () => {
  test("every call says so soon, no host is asked, and all is well when it is back", async () => {
    const { id } = await reserved();
    await redis.part.stop();
    const asked = hosts.map((host) => host.asked.length);

    const calls = [
      () => scheduler.reserve(),
      () => scheduler.claim(id, "saga", 1),
      () => scheduler.release(id, 1),
    ];
    for (const call of calls) expect(await refusedAfter(call)).toBeLessThan(IN_TIME_MS);
    expect(hosts.map((host) => host.asked.length)).toEqual(asked);
    expect((await scheduler.listHosts()).length).toBe(2);
    // The release was refused and did what it could.
    await eventually(held).toEqual([1, 0]);

    await redis.part.start();

    await eventually(() => scheduler.reserve().then((made) => made.reservation?.offers.length)).toBe(2);
  });

  test("a scheduler starts and serves, and works once Redis comes", async () => {
    await redis.part.stop();
    const early = await startScheduler(redis.url);
    const host = new TestHost(1, [early.address]);
    try {
      await eventually(() => host.attached()).toBe(true);
      expect(await refusedAfter(() => early.reserve())).toBeLessThan(IN_TIME_MS);

      await redis.part.start();

      await eventually(() => early.reserve().then((made) => made.reservation?.offers.length)).toBe(1);
    } finally {
      await host.close();
      await early.close();
    }
  });
});

describe("when Redis hangs", () => {
  let pid: number;
  beforeEach(() => {
    const { process } = redis.part;
    if (!process) throw new Error("Redis does not run");
    pid = process.pid;
  });
  afterEach(() => {
    process.kill(pid, "SIGCONT");
  });

  test("calls are refused soon, and all is well when it goes on", async () => {
    const { id } = await reserved();
    process.kill(pid, "SIGSTOP");

    expect(await refusedAfter(() => scheduler.reserve())).toBeLessThan(IN_TIME_MS);
    expect(await refusedAfter(() => scheduler.claim(id, "saga", 1))).toBeLessThan(IN_TIME_MS);

    process.kill(pid, "SIGCONT");
    await eventually(() => scheduler.reserve().then((made) => made.reservation?.offers.length)).toBe(2);
  });

  test("from the middle of an auction on, the holds are let go, and the reservation does not appear later", async () => {
    await restartScheduler({ ttlMs: 60_000 });
    const stopping = new TestHost(3, [scheduler.address], {
      answer: (asked, host) => {
        process.kill(pid, "SIGSTOP");
        return host.hold(asked);
      },
    });
    hosts.push(stopping);
    await eventually(() => stopping.attached()).toBe(true);
    const reservationId = "stopped-in-the-middle";

    expect(await refusedAfter(() => scheduler.reserve({ reservationId }))).toBeLessThan(IN_TIME_MS);
    await eventually(held).toEqual([0, 0, 0]);

    process.kill(pid, "SIGCONT");
    hosts.pop();
    await stopping.close();
    await eventually(() => scheduler.reserve().then((made) => made.reservation?.offers.length)).toBe(2);
    await expect(scheduler.claim(reservationId, "saga", 1)).rejects.toMatchObject({
      reason: "RESERVATION_EXPIRED",
    });
  });
});
