import { afterAll, beforeAll, expect, test } from "vitest";
import { call } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { clients } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open();
  const { address } = world.scheduler;
  api = await world.api({
    schedulers: [
      { region: "ord", address },
      { region: "gru", address: "127.0.0.1:1" },
      { region: "attic", address },
    ],
  });
});
afterAll(() => world.close());

test("the regions have names and places, those that nobody knows their code", async () => {
  const { platform } = api.user;

  const { regions, nearest } = await call(platform, platform.listRegions, {}, LIMIT);

  expect(nearest).toBe("ord");
  expect(regions.map(({ code, name, group }) => ({ code, name, group }))).toEqual([
    { code: "attic", name: "attic", group: "" },
    { code: "gru", name: "São Paulo, Brazil", group: "sa" },
    { code: "ord", name: "Chicago, Illinois (US)", group: "us" },
  ]);
  expect(regions[2]?.latitude).toBeCloseTo(41.98);
});

test("room is what the hosts of a region have free, and a region without its scheduler has none", async () => {
  const { platform } = api.user;
  const estimate = (region: string, count = 0, memoryMb = 1024) =>
    call(
      platform,
      platform.estimatePlacements,
      { region, count, guest: { cpuKind: "shared", cpus: 1, memoryMb } },
      LIMIT,
    );

  const everywhere = await estimate("");
  const few = await estimate("ord", 3);

  expect(everywhere.regions.map(({ region }) => region)).toEqual(["ord", "gru", "attic"]);
  expect(everywhere.regions[0]?.count).toBeGreaterThan(3);
  expect(everywhere.regions[1]).toEqual({ region: "gru", count: 0, concurrency: 0 });
  expect(few.regions).toEqual([{ region: "ord", count: 3, concurrency: 2 }]);
  expect(await faultOf(estimate("gru"))).toMatchObject({ reason: "SCHEDULER_UNAVAILABLE" });
  expect(await faultOf(estimate("mars"))).toMatchObject({ reason: "REGION_UNKNOWN" });
  expect(await faultOf(estimate("ord", -1, 100))).toMatchObject({
    reason: "INVALID_FIELDS",
    facts: { fields: expect.stringContaining("count") },
  });
});

test("a caller is told who they are", async () => {
  const admin = await api.as("personal", ["admin"]);
  const nobody = await clients(api.address, undefined);

  const caller = await call(api.user.platform, api.user.platform.getCaller, {}, LIMIT);
  const operator = await call(admin.platform, admin.platform.getCaller, {}, LIMIT);

  expect(caller).toMatchObject({ subject: "test", org: "personal", checks: [] });
  expect(caller.scopes).toEqual(["machines:read", "machines:write"]);
  expect(caller.tokenId).not.toBe("");
  expect(caller.expireTime?.getTime()).toBeGreaterThan(Date.now());
  expect(operator.scopes).toEqual(["admin"]);
  expect(await faultOf(call(nobody.platform, nobody.platform.getCaller, {}, LIMIT))).toMatchObject({
    reason: "TOKEN_MISSING",
  });
  for (const each of [admin, nobody]) each.close();
});
