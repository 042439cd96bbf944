import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AUCTION_LIMITS } from "../../../src/scheduler/auctions/auction.ts";
import { startRedis, type TestRedis } from "../../support/servers/redis.ts";
import { eventually, startScheduler, TestHost, type TestScheduler } from "./fixture.ts";

let redis: TestRedis;
let replicas: [TestScheduler, TestScheduler];
let hosts: TestHost[];

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());
afterEach(async () => {
  await Promise.all(hosts.map((host) => host.close()));
  await Promise.all(replicas.map((replica) => replica.close()));
});

async function attach(count: number): Promise<void> {
  const addresses = replicas.map((replica) => replica.address);
  hosts = Array.from({ length: count }, (_, i) => new TestHost(i + 1, addresses));
  await eventually(() => hosts.every((host) => host.attached())).toBe(true);
}

describe("two replicas that share nothing but Redis", () => {
  beforeEach(async () => {
    replicas = [await startScheduler(redis.url), await startScheduler(redis.url)];
    await Promise.all(replicas.map((replica) => replica.ready()));
    await attach(3);
  });

  test("what one has reserved, the other can claim and end", async () => {
    const [one, other] = replicas;
    const { reservation } = await one.reserve();
    const id = reservation?.id ?? "";
    const winner = reservation?.offers[0]?.hostNumber ?? 0;

    expect((await other.claim(id, "saga", winner)).offer?.hostNumber).toBe(winner);
    await expect(one.claim(id, "another", winner)).rejects.toMatchObject({ reason: "RESERVATION_CLAIMED" });
    await other.release(id, winner);

    await eventually(() => hosts.filter((host) => host.holds.size > 0).map((host) => host.number)).toEqual([
      winner,
    ]);
    await expect(one.claim(id, "saga", winner)).rejects.toMatchObject({ reason: "RESERVATION_EXPIRED" });
  });

  test("a repeat that reaches the other replica returns the same reservation", async () => {
    const [one, other] = replicas;
    const reservationId = "repeated";
    const first = await one.reserve({ reservationId });

    expect(await other.reserve({ reservationId })).toEqual(first);
    await one.release(reservationId);
  });

  test("two concurrent Reserves of one id name the same hosts, and each of these holds", async () => {
    for (let round = 0; round < 10; round++) {
      const reservationId = `both-${round}`;
      const answers = await Promise.all(replicas.map((replica) => replica.reserve({ reservationId })));
      const named = answers.map((answer) => answer.reservation?.offers.map((offer) => offer.hostNumber));

      expect(named[0]).toEqual(named[1]);
      expect(named[0]?.every((number) => hosts[number - 1]?.holds.has(reservationId))).toBe(true);
      await replicas[0].release(reservationId);
    }
  });

  test("when one ends, the other goes on", async () => {
    const [one, other] = replicas;
    const { reservation } = await one.reserve();
    await one.close();
    replicas = [await startScheduler(redis.url), other];

    expect((await other.reserve()).reservation?.offers.length).toBeGreaterThanOrEqual(2);
    await other.release(reservation?.id ?? "");
    await eventually(() => hosts.map((host) => host.holds.has(reservation?.id ?? ""))).toEqual([
      false,
      false,
      false,
    ]);
  });
});

describe("200 hosts", () => {
  beforeEach(async () => {
    replicas = [await startScheduler(redis.url), await startScheduler(redis.url)];
    await Promise.all(replicas.map((replica) => replica.ready()));
    await attach(200);
  });

  test("an auction asks a sample of them, another one each time", async () => {
    const sizes: number[] = [];
    for (let round = 0; round < 21; round++) {
      const { reservation, hostsAsked } = await replicas[0].reserve();
      await replicas[0].release(reservation?.id ?? "");
      sizes.push(hostsAsked);
    }

    // Slow answers may widen one or the other.
    expect(sizes.toSorted((a, b) => a - b)[10]).toBe(AUCTION_LIMITS.sample);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(AUCTION_LIMITS.maxAsked);
    const asked = hosts.map((host) => host.asked.length);
    expect(asked.reduce((sum, count) => sum + count, 0)).toBe(sizes.reduce((sum, size) => sum + size, 0));
    expect(asked.filter((count) => count > 0).length).toBeGreaterThan(40);
    await eventually(() => hosts.filter((host) => host.holds.size > 0)).toEqual([]);
  });

  test("an auction that no host has room for asks a bounded number", async () => {
    await expect(
      replicas[0].reserve({ resources: { cpus: 64, memoryMb: 256n, diskMb: 1n } }),
    ).rejects.toMatchObject({
      reason: "NO_CAPACITY",
      facts: { hosts_asked: "128", declined_no_cpu: "128", largest_cpus: "8" },
    });
    expect(hosts.reduce((sum, host) => sum + host.asked.length, 0)).toBe(128);
  });

  test("the one host with room is found by the last statuses", async () => {
    const tight = { cpus: 1, memoryMb: 64, diskMb: 10 };
    const roomy = hosts[77];
    for (const host of hosts) if (host !== roomy) host.holds.set("full", { ...host.capacity, cpus: 8 });
    const memory = () =>
      replicas[0]
        .listHosts()
        .then((all) => all.filter((one) => one.status?.held?.memoryMb === 16_384n).length);
    await eventually(memory).toBe(199);

    const { reservation } = await replicas[0].reserve({
      resources: { cpus: tight.cpus, memoryMb: 64n, diskMb: 10n },
    });

    expect(reservation?.offers.map((offer) => offer.hostNumber)).toEqual([78]);
  });
});

describe("too many auctions at once", () => {
  test("are refused with RetryInfo, and the others succeed", async () => {
    replicas = [await startScheduler(redis.url, { auctions: 5 }), await startScheduler(redis.url)];
    await Promise.all(replicas.map((replica) => replica.ready()));
    await attach(1);

    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => replicas[0].reserve()));

    const refused = outcomes.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    expect(refused.length).toBeGreaterThan(0);
    for (const reason of refused) {
      if (reason.reason === "NO_CAPACITY") continue;
      expect(reason).toMatchObject({
        code: "RESOURCE_EXHAUSTED",
        reason: "AUCTION_QUEUE_FULL",
        retryAfterMs: 200,
      });
    }
    expect(outcomes.filter((one) => one.status === "fulfilled").length).toBeGreaterThanOrEqual(5);
  });
});
