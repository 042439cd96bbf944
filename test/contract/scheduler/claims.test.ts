import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { mintToken } from "../../../src/lib/auth/auth.ts";
import { tokenMetadata } from "../../../src/lib/auth/tokens.ts";
import { call } from "../../../src/lib/grpc/client.ts";
import { startRedis, type TestRedis } from "../../support/servers/redis.ts";
import {
  attachHosts,
  eventually,
  type HostTraits,
  KEYS,
  makeReservation,
  reserveRequest,
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

describe("Claim", () => {
  test("of two at once, exactly one has it, every time", async () => {
    await attach({}, {});
    for (let round = 0; round < 20; round++) {
      const { id, numbers } = await reserved();
      const claims = numbers.map((number) => scheduler.claim(id, `saga-${number}`, number));
      const outcomes = await Promise.allSettled(claims);

      const refused = outcomes.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
      expect(refused).toMatchObject([{ code: "ABORTED", reason: "RESERVATION_CLAIMED" }]);
      await scheduler.release(id);
    }
  });

  test("by the same claimant succeeds again, also for another offer", async () => {
    await attach({}, {});
    const { id, offers, numbers } = await reserved();
    const [first = 0, second = 0] = numbers;

    expect((await scheduler.claim(id, "saga", first)).offer).toEqual(offers[0]);
    expect((await scheduler.claim(id, "saga", first)).offer).toEqual(offers[0]);
    expect((await scheduler.claim(id, "saga", second)).offer).toEqual(offers[1]);
  });

  test("of a host that made no offer is OFFER_UNKNOWN, and claims nothing", async () => {
    await attach({});
    const { id } = await reserved();

    const unknown = { code: "INVALID_ARGUMENT", reason: "OFFER_UNKNOWN" };
    await expect(scheduler.claim(id, "saga-1", 9)).rejects.toMatchObject(unknown);
    await expect(scheduler.claim(id, "saga-2", 1)).resolves.toBeDefined();
  });

  test("of an unknown reservation is RESERVATION_EXPIRED", async () => {
    await expect(scheduler.claim("never", "saga", 1)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "RESERVATION_EXPIRED",
    });
  });

  test("with wrong fields names all of them", async () => {
    await expect(scheduler.claim("", "", -1)).rejects.toMatchObject({
      reason: "INVALID_FIELDS",
      facts: { fields: "reservation_id,claimant,host_number" },
    });
  });
});

describe("Release", () => {
  test("releases all holds but that of the awarded host", async () => {
    const attached = await attach({}, {}, {});
    const { id, numbers } = await reserved();
    const winner = numbers[0] ?? 0;

    await scheduler.release(id, winner);

    await eventually(() => attached.filter((host) => host.holds.size > 0).map((host) => host.number)).toEqual(
      [winner],
    );
    await expect(scheduler.claim(id, "saga", winner)).rejects.toMatchObject({
      reason: "RESERVATION_EXPIRED",
    });
  });

  test("without an award releases all holds", async () => {
    const attached = await attach({}, {});
    const { id } = await reserved();

    await scheduler.release(id);

    await eventually(() => attached.map((host) => host.holds.size)).toEqual([0, 0]);
  });

  test("of one that is gone succeeds", async () => {
    await attach({});
    const { id } = await reserved();
    await scheduler.release(id);

    await expect(scheduler.release(id)).resolves.toEqual({});
    await expect(scheduler.release("never", 1)).resolves.toEqual({});
  });

  test("with wrong fields names all of them", async () => {
    await expect(scheduler.release("", 2 ** 20)).rejects.toMatchObject({
      facts: { fields: "reservation_id,awarded_host" },
    });
  });
});

describe("ListHosts", () => {
  test("lists attached hosts by number, with their last status", async () => {
    await attach({}, {});
    await reserved();

    await eventually(async () =>
      (await scheduler.listHosts()).map((host) => host.status?.held?.memoryMb),
    ).toEqual([256n, 256n]);
    const [first, second] = await scheduler.listHosts();
    expect(first?.info).toEqual({
      number: 1,
      name: "host-1",
      identity: "identity-1",
      region: "ord",
      zone: "a",
      address: "127.0.0.1:20001",
      capacity: { cpus: 8, memoryMb: 16_384n, diskMb: 100_000n },
      vmm: "sim",
      acceleration: "none",
      isolation: "development",
      vmmReason: "a test",
      labels: new Map(),
    });
    expect(second?.info?.number).toBe(2);
    expect(first?.lastSeenTime?.getTime()).toBeGreaterThanOrEqual(first?.attachTime?.getTime() ?? Infinity);
  });
});

test("every call needs the scope internal", async () => {
  const user = { subject: "ana", org: "acme", scopes: ["machines:read", "machines:write", "admin"] as const };
  const metadata = tokenMetadata(await mintToken(KEYS.privateKey, user, 60));
  const scope = { timeoutMs: 20_000, metadata };
  const { client } = scheduler;
  const calls = [
    call(client, client.reserve, reserveRequest(), scope),
    call(client, client.claim, { reservationId: randomUUID(), claimant: "saga", hostNumber: 1 }, scope),
    call(
      client,
      client.release,
      { reservationId: randomUUID(), awardedHost: undefined, refusedHosts: [] },
      scope,
    ),
    call(client, client.listHosts, { pageSize: 0, pageToken: "" }, scope),
  ];

  // All at once: a rejection while another call is awaited would count as unhandled.
  for (const answer of await Promise.allSettled(calls)) {
    expect(answer).toMatchObject({
      status: "rejected",
      reason: { code: "PERMISSION_DENIED", reason: "SCOPE_MISSING" },
    });
  }
});
