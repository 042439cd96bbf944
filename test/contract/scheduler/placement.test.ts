import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Placement, PlacementStrategy } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { startRedis, type TestRedis } from "../../support/servers/redis.ts";
import {
  attachHosts,
  eventually,
  type HostTraits,
  startScheduler,
  TestHost,
  type TestScheduler,
} from "./fixture.ts";

let redis: TestRedis;
let scheduler: TestScheduler;
const hosts: TestHost[] = [];

beforeEach(async () => {
  redis = await startRedis();
  scheduler = await startScheduler(redis.url, { ttlMs: 15_000 });
  await scheduler.ready();
});
afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.close()));
  await scheduler.close();
  await redis.close();
});

async function attach(...traits: HostTraits[]): Promise<TestHost[]> {
  const attached = await attachHosts(scheduler, traits);
  hosts.push(...attached);
  return attached;
}

async function offering(placement: Partial<Placement>): Promise<number[]> {
  const { reservation } = await scheduler.reserve({ placement: Placement.fromPartial(placement) });
  return (reservation?.offers ?? []).map((offer) => offer.hostNumber).toSorted();
}

describe("constraints", () => {
  test("labels choose the hosts, and one that no host has is named as the reason", async () => {
    await attach({ labels: { disk: "nvme" } }, { labels: { disk: "hdd" } }, { labels: { disk: "nvme" } });

    expect(await offering({ hostLabels: new Map([["disk", "nvme"]]) })).toEqual([1, 3]);
    await expect(offering({ hostLabels: new Map([["disk", "tape"]]) })).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "NO_CAPACITY",
      message: expect.stringContaining("none of the 3 hosts attached has label disk=tape"),
      facts: { hosts_attached: "3", hosts_matching: "0" },
    });
  });

  test("the host with the data is the only one asked", async () => {
    const [first, second] = await attach({}, {});

    expect(await offering({ hostNumber: 2 })).toEqual([2]);
    expect([first?.asked.length, second?.asked.length]).toEqual([0, 1]);
  });

  test("the host decides whether hosts must differ", async () => {
    await attach({
      answer: (asked, host) =>
        asked.distinctHosts ? { kind: "decline", reason: "app_present" } : host.hold(asked),
    });

    expect(await offering({ distinctHosts: false })).toEqual([1]);
    await expect(offering({ distinctHosts: true })).rejects.toMatchObject({
      reason: "NO_CAPACITY",
      message: expect.stringContaining("has a machine of the app already"),
      facts: { declined_app_present: "1" },
    });
  });

  test("packing fills the fuller host, spreading the emptier one", async () => {
    const small = { cpus: 8, memoryMb: 1_024, diskMb: 100_000 };
    await attach({ capacity: small }, {});
    const first = async (strategy: PlacementStrategy) =>
      (await scheduler.reserve({ placement: Placement.fromPartial({ strategy }) })).reservation?.offers[0]
        ?.hostNumber;

    expect(await first(PlacementStrategy.PACK)).toBe(1);
    expect(await first(PlacementStrategy.SPREAD)).toBe(2);
  });
});

test("a host that refuses awards repeatedly is left out, and listed as such", async () => {
  await attach({}, {});
  for (let i = 0; i < 3; i++) await scheduler.release(randomUUID(), undefined, [1]);

  expect(await offering({})).toEqual([2]);

  const [first, second] = await scheduler.listHosts();
  expect(first?.backoffUntilTime?.getTime()).toBeGreaterThan(Date.now() + 20_000);
  expect(second?.backoffUntilTime).toBeUndefined();
});

test("any replica lists reservations, with their claims and up to the page size", async () => {
  await attach({});
  const [one, two] = [randomUUID(), randomUUID()];
  await scheduler.reserve({ reservationId: one, app: "web" });
  await scheduler.reserve({ reservationId: two, app: "shop" });
  await scheduler.claim(two, "saga", 1);
  const other = await startScheduler(redis.url, { ttlMs: 15_000 });
  try {
    await other.ready();

    const { reservations, total } = await other.listReservations();

    expect(total).toBe(2);
    expect(reservations).toMatchObject([
      { id: one, app: "web", claimant: "", claimedHost: undefined, offers: [{ hostNumber: 1 }] },
      { id: two, app: "shop", claimant: "saga", claimedHost: 1, resources: { memoryMb: 256n } },
    ]);
    const first = await other.listReservations(1);
    expect(first).toMatchObject({ reservations: [{ id: one }], total: 2 });
    const second = await other.listReservations(1, first.nextPageToken);
    expect(second).toMatchObject({ reservations: [{ id: two }], total: 2, nextPageToken: "" });
    await expect(other.listReservations(1, "nonsense")).rejects.toMatchObject({
      violations: [{ field: "page_token" }],
    });
    await expect(other.listReservations(1_001)).rejects.toMatchObject({ reason: "INVALID_FIELDS" });
  } finally {
    await other.close();
  }
});

test("two replicas that are asked for one reservation make one: a host holds once, and both answer the same", async () => {
  const other = await startScheduler(redis.url, { ttlMs: 15_000 });
  try {
    await other.ready();
    const host = new TestHost(1, [scheduler.address, other.address]);
    hosts.push(host);
    await eventually(() => host.attached()).toBe(true);
    const reservationId = randomUUID();

    const [first, second] = await Promise.all([
      scheduler.reserve({ reservationId }),
      other.reserve({ reservationId }),
    ]);

    expect(second.reservation).toEqual(first.reservation);
    expect(host.holds.size).toBe(1);
  } finally {
    await other.close();
  }
});
