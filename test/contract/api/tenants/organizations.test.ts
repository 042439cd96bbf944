import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Limits, Standing } from "../../../../src/gen/windhover/admin/v1/organizations.ts";
import { TokenVerifier } from "../../../../src/lib/auth/auth.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { KEYS } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open();
  api = await world.api();
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.clear();
  await world.sql("delete from apps");
  await world.sql("delete from organizations where slug <> 'personal'");
});

describe("limits of an organisation", () => {
  const update = (limits: Limits) => {
    const request = { slug: "acme", standing: Standing.UNSPECIFIED, quota: undefined, limits };
    return call(api.admin.orgs, api.admin.orgs.updateOrganization, request, LIMIT);
  };

  test("are replaced as a whole, and empty ones are none", async () => {
    await createOrg("acme");
    await update({ rates: [{ action: "read", perSecond: 1, burst: 1 }], createsInProgress: 9 });

    const { organization } = await update({ rates: [], createsInProgress: 0 });

    expect(organization?.limits).toBeUndefined();
  });

  test("that make no sense are refused, all at once", async () => {
    await createOrg("acme");
    const rate = (action: string, perSecond: number, burst: number) => ({ action, perSecond, burst });
    const rates = [rate("dance", 1, 1), rate("read", 0, 1), rate("stop", 1, 1), rate("stop", Number.NaN, -1)];

    const fault = await faultOf(update({ rates, createsInProgress: -1 }));

    expect(fault.violations.map(({ field }) => field)).toEqual([
      "limits.creates_in_progress",
      "limits.rates[0].action",
      "limits.rates[1]",
      "limits.rates[3]",
      "limits.rates[3].action",
    ]);
  });
});

describe("organisations", () => {
  test("are created with defaults, read, listed and changed", async () => {
    const { orgs } = api.admin;
    await createOrg("acme");
    const quota = { machines: 5, memoryMb: 4_096n };
    const rates = [{ action: "create", perSecond: 0.5, burst: 3 }];
    const limits = { rates, createsInProgress: 2 };
    const update = { slug: "acme", standing: Standing.PAST_DUE, quota, limits };

    const { organization } = await call(orgs, orgs.updateOrganization, update, LIMIT);
    const unchanged = { slug: "acme", standing: Standing.UNSPECIFIED, quota: undefined, limits: undefined };
    const again = await call(orgs, orgs.updateOrganization, unchanged, LIMIT);
    const { organizations } = await call(orgs, orgs.listOrganizations, { pageSize: 0, pageToken: "" }, LIMIT);

    const whole = { slug: "acme", name: "acme", standing: Standing.PAST_DUE, quota, limits };
    expect(organization).toMatchObject({ ...whole, quota: { ...quota, imageMb: 1_048_576n } });
    expect(again.organization).toEqual(organization);
    expect(organizations.map((org) => [org.slug, org.quota?.machines])).toEqual([
      ["acme", 5],
      ["personal", 100],
    ]);
  });

  test("say what they use", async () => {
    await api.user.createApp("web");
    await api.user.create({ config: { guest: { memoryMb: 512 } } });
    const { orgs } = api.admin;

    const { organization } = await call(orgs, orgs.getOrganization, { slug: "personal" }, LIMIT);

    expect(organization).toMatchObject({ machinesUsed: 1, memoryMbUsed: 512n, standing: Standing.GOOD });
  });

  test("are for operators, exist once, and are validated", async () => {
    const { orgs } = api.admin;
    await createOrg("acme");

    const get = (slug: string) => call(orgs, orgs.getOrganization, { slug }, LIMIT);
    const forbidden = call(api.user.orgs, api.user.orgs.getOrganization, { slug: "acme" }, LIMIT);
    expect(await faultOf(forbidden)).toMatchObject({ code: "PERMISSION_DENIED", reason: "SCOPE_MISSING" });
    expect(await faultOf(createOrg("acme"))).toMatchObject({ reason: "ORG_SLUG_TAKEN" });
    expect(await faultOf(createOrg("Not A Slug"))).toMatchObject({ reason: "INVALID_FIELDS" });
    expect(await faultOf(get("nobody"))).toMatchObject({ reason: "ORG_NOT_FOUND" });
    const wrong = {
      slug: "acme",
      standing: 42 as Standing,
      quota: { machines: -1, memoryMb: -1n, imageMb: -1n },
      limits: undefined,
    };
    expect(await faultOf(call(orgs, orgs.updateOrganization, wrong, LIMIT))).toMatchObject({
      facts: { fields: "standing,quota.machines,quota.memory_mb,quota.image_mb" },
    });
  });

  test("get tokens that work", async () => {
    const { orgs } = api.admin;
    const ask = (org: string, scopes: string[], ttlSeconds: bigint) =>
      call(orgs, orgs.createToken, { org, scopes, subject: "", ttlSeconds }, LIMIT);

    const { token, expireTime } = await ask("personal", ["machines:read"], 60n);

    const remainingMs = (expireTime?.getTime() ?? 0) - Date.now();
    expect(remainingMs).toBeGreaterThan(0);
    expect(remainingMs).toBeLessThanOrEqual(60_000);
    expect(await new TokenVerifier(KEYS.publicKey).verify(`Bearer ${token}`)).toMatchObject({
      org: "personal",
      scopes: ["machines:read"],
    });
    expect(await faultOf(ask("nobody", ["admin"], 0n))).toMatchObject({ reason: "ORG_NOT_FOUND" });
    expect(await faultOf(ask("personal", ["internal"], 1n))).toMatchObject({
      facts: { fields: "scopes,ttl_seconds" },
    });
  });
});

function createOrg(slug: string) {
  const { orgs } = api.admin;
  return call(orgs, orgs.createOrganization, { slug, name: "", quota: undefined }, LIMIT);
}
