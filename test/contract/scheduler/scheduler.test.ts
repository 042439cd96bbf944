import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AUCTION_LIMITS } from "../../../src/scheduler/auctions/auction.ts";
import { startRedis, type TestRedis } from "../../support/servers/redis.ts";
import {
  attachHosts,
  eventually,
  type HostTraits,
  makeReservation,
  startScheduler,
  type TestHost,
  type TestScheduler,
} from "./fixture.ts";

const TTL_MS = 15_000;

let redis: TestRedis;
let scheduler: TestScheduler;
const hosts: TestHost[] = [];

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());
beforeEach(async () => {
  scheduler = await startScheduler(redis.url, { ttlMs: TTL_MS });
  await scheduler.ready();
});
afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.close()));
  await scheduler.close();
});

async function attach(...traits: HostTraits[]): Promise<TestHost[]> {
  const attached = await attachHosts(scheduler, traits);
  hosts.push(...attached);
  return attached;
}

const reserved = (request?: Parameters<TestScheduler["reserve"]>[0]) => makeReservation(scheduler, request);

describe("Reserve", () => {
  test("asks every host of a small fleet and returns all offers, best first, with where each host is", async () => {
    await attach({}, { imageLocal: true });

    const before = Date.now();
    const reservation = await reserved();
    const after = Date.now();

    expect(reservation.hostsAsked).toBe(2);
    expect(reservation.offers).toMatchObject([
      {
        hostNumber: 2,
        hostName: "host-2",
        hostAddress: "127.0.0.1:20002",
        region: "ord",
        zone: "a",
        epoch: 1n,
        imageLocal: true,
        freeAfter: { cpus: 7, memoryMb: 16_128n, diskMb: 98_976n },
      },
      { hostNumber: 1, imageLocal: false },
    ]);
    expect(reservation.expireTime.getTime()).toBeGreaterThanOrEqual(before + TTL_MS);
    expect(reservation.expireTime.getTime()).toBeLessThanOrEqual(after + TTL_MS);
  });

  test("sends hosts the whole bid", async () => {
    const asked: unknown[] = [];
    await attach({
      answer: (bid, host) => {
        asked.push(bid);
        return host.hold(bid);
      },
    });

    const { id } = await reserved({ app: "shop", imageDigest: "sha256:feed" });

    expect(asked).toEqual([
      {
        reservationId: id,
        distinctHosts: false,
        resources: { cpus: 1, memoryMb: 256, diskMb: 1_024 },
        imageDigest: "sha256:feed",
        app: "shop",
        holdMs: TTL_MS,
      },
    ]);
  });

  test("repeated with the same id, returns the same and asks no host", async () => {
    const [host] = await attach({});
    const first = await reserved();

    const second = await reserved({ reservationId: first.id });

    expect(second).toEqual(first);
    expect(host?.asked).toEqual([first.id]);
  });

  test("leaves out excluded hosts", async () => {
    await attach({}, {}, {});

    expect((await reserved({ excludedHosts: [1, 3] })).numbers).toEqual([2]);
  });

  test("prefers hosts with fewer machines of the app", async () => {
    const withMachines = (appMachines: number): HostTraits => ({
      answer: (bid, host) => ({ ...host.hold(bid), appMachines }),
    });
    await attach(withMachines(1), withMachines(0));

    expect((await reserved()).numbers).toEqual([2, 1]);
  });

  test("leaves holds only on the hosts that it names, two or more", async () => {
    const attached = await attach({}, {}, {}, {}, {});

    const { numbers } = await reserved();

    expect(numbers.length).toBeGreaterThanOrEqual(AUCTION_LIMITS.enoughOffers);
    await eventually(() => attached.filter((host) => host.holds.size > 0).map((host) => host.number)).toEqual(
      numbers.toSorted(),
    );
  });

  test("without room is NO_CAPACITY, with the reasons and the largest that would fit", async () => {
    const small = { cpus: 4, memoryMb: 2_048, diskMb: 10_000 };
    await attach(
      { capacity: small },
      { capacity: { ...small, cpus: 1, memoryMb: 4_096 } },
      {
        answer: () => ({ kind: "decline", reason: "draining" }),
      },
    );

    await expect(
      scheduler.reserve({ resources: { cpus: 4, memoryMb: 8_192n, diskMb: 1_024n } }),
    ).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "NO_CAPACITY",
      facts: {
        hosts_asked: "3",
        declined_no_memory: "1",
        declined_no_cpu: "1",
        declined_draining: "1",
        asked_memory_mb: "8192",
        largest_cpus: "4",
        largest_memory_mb: "2048",
        largest_disk_mb: "10000",
      },
    });
  });

  test("without a host is NO_HOSTS", async () => {
    await expect(scheduler.reserve()).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "NO_HOSTS" });
  });

  test("a host whose ledger throws has declined and stays attached", async () => {
    const [broken] = await attach({
      answer: () => {
        throw new Error("the ledger is broken");
      },
    });

    await expect(scheduler.reserve()).rejects.toMatchObject({ facts: { declined_other: "1" } });
    expect(broken?.attached()).toBe(true);
  });

  test("with wrong fields names all of them", async () => {
    const request = {
      reservationId: "no blanks",
      resources: { cpus: 0, memoryMb: -1n, diskMb: -1n },
      imageDigest: "x".repeat(257),
      app: "x".repeat(129),
      excludedHosts: Array.from({ length: 1_025 }, (_, i) => i),
    };

    await expect(scheduler.reserve(request)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: "INVALID_FIELDS",
      violations: [
        "reservation_id",
        "resources.cpus",
        "resources.memory_mb",
        "resources.disk_mb",
        "image_digest",
        "app",
        "excluded_hosts",
      ].map((field) => ({ field, description: expect.any(String) })),
    });
    await expect(scheduler.reserve({ resources: undefined })).rejects.toMatchObject({
      violations: [{ field: "resources", description: "must be set" }],
    });
  });
});
