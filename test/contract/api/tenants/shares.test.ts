import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { boundRows } from "../../../../src/api/maintenance/retention.ts";
import { DEFAULT_RATES } from "../../../../src/api/shares/rates.ts";
import { Standing } from "../../../../src/gen/windhover/admin/v1/organizations.ts";
import { ListMachinesRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { call, openStream } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import type { Clients } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };
/** Its tokens do not come back within a test. */
const few = (burst: number) => ({ perSecond: 0.001, burst });

let world: World;
let api: TestApi;
let other: Clients;

beforeAll(async () => {
  world = await World.open();
  const rates = { ...DEFAULT_RATES, start: few(3), follow: few(2) };
  api = await world.api({ rates, createLimits: { perOrg: 2, total: 3 } });
  await api.user.createApp("web");
  await createOrganization("acme");
  other = await api.as("acme", ["machines:read", "machines:write"]);
  await other.createApp("shop");
});
afterAll(async () => {
  other.close();
  await world.close();
});
beforeEach(() => world.clear());

function createOrganization(slug: string): Promise<unknown> {
  const request = { slug, name: "", quota: undefined };
  return call(api.admin.orgs, api.admin.orgs.createOrganization, request, LIMIT);
}

test("calls that wait for the database keep no connections from other organisations", async () => {
  const locks = new pg.Client({ connectionString: world.database.url });
  await locks.connect();
  try {
    await locks.query("begin");
    await locks.query("select 1 from apps where name = 'web' for update");
    const waiting = Array.from({ length: 40 }, () =>
      call(api.user.apps, api.user.apps.deleteApp, { name: "web", force: false }, LIMIT).catch(
        () => undefined,
      ),
    );
    await expect.poll(() => api.databaseTurns.waiting).toBe(37);

    expect((await call(other.apps, other.apps.getApp, { name: "shop" }, LIMIT)).app?.name).toBe("shop");

    await locks.query("rollback");
    await Promise.all(waiting);
    await api.user.createApp("web");
  } finally {
    await locks.end();
  }
});

describe("an organisation that calls too often", () => {
  test("is told what, how often, and when to come back; others are served, and it may do other things", async () => {
    const { machine } = await api.user.create();
    const id = machine?.id ?? "";
    for (let i = 0; i < 3; i++) await api.user.start(id);

    expect(await faultOf(api.user.start(id))).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "RATE_LIMITED",
      facts: { org: "personal", action: "start", limit: "0.001", burst: "3" },
      retryAfterMs: expect.closeTo(1_000_000, -5),
    });
    expect((await faultOf(other.start("00001aaaaaaaaa"))).reason).toBe("MACHINE_NOT_FOUND");
    expect((await api.user.get(id))?.id).toBe(id);
  });

  test("hears so when it opens a stream, too", async () => {
    const id = (await api.user.create()).machine?.id ?? "";
    const { machines } = other;
    const logs = async () => {
      const request = { machineId: id, follow: false, tail: undefined, since: undefined, afterSequence: 0n };
      for await (const _ of openStream(machines, machines.streamLogs, request, LIMIT));
    };
    await faultOf(logs());
    await faultOf(logs());

    expect(await faultOf(logs())).toMatchObject({ reason: "RATE_LIMITED", facts: { action: "follow" } });
  });

  test("pays for the size of what it lists", async () => {
    // Has hardly any reads afterwards.
    const slug = "reader";
    await createOrganization(slug);
    const reader = await api.as(slug, ["machines:read", "machines:write"]);
    await reader.createApp("library");
    const rates = [{ action: "read", perSecond: 0.001, burst: 4 }];
    const limits = { rates, createsInProgress: 0 };
    const update = { slug, standing: Standing.UNSPECIFIED, quota: undefined, limits };
    // Lists show no variables.
    const metadata = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, "x".repeat(2_000)]));
    for (let i = 0; i < 2; i++) await reader.create({ app: "library", config: { metadata } });
    await call(api.admin.orgs, api.admin.orgs.updateOrganization, update, LIMIT);
    await expect.poll(() => api.shares.limitsOf(slug)).toBeDefined();
    const request = ListMachinesRequest.create();
    const list = () => call(reader.machines, reader.machines.listMachines, request, LIMIT);

    const { machines } = await list();

    expect(machines).toHaveLength(2);
    expect(await faultOf(list())).toMatchObject({ reason: "RATE_LIMITED", facts: { action: "read" } });
    reader.close();
  });
});

describe("creates under way", () => {
  test("are bounded for each organisation and for all; repeats of one need no room", async () => {
    const leave = Promise.withResolvers<void>();
    const entered = new Set<string>();
    const hold = (app: string) => async () => {
      entered.add(app);
      await leave.promise;
    };
    for (const host of [1, 2]) world.host(host).before("prepareMachine", hold("web"), 9);
    const first = [api.user.create({ requestId: "a" }), api.user.create({ requestId: "b" })];
    await expect.poll(() => api.runner.size).toBe(2);

    const repeated = api.user.create({ requestId: "a" });
    const full = await faultOf(api.user.create());
    const others = other.create({ app: "shop" });
    await expect.poll(() => api.runner.size).toBe(3);
    const apiFull = await faultOf(other.create({ app: "shop" }));
    leave.resolve();

    expect(full).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "CREATES_IN_PROGRESS",
      facts: { org: "personal", of: "organisation", in_progress: "2", limit: "2" },
      retryAfterMs: 1_000,
    });
    expect(apiFull).toMatchObject({ reason: "CREATES_IN_PROGRESS", facts: { of: "api", limit: "3" } });
    expect((await repeated).machine?.id).toBe((await first[0])?.machine?.id);
    await Promise.all([...first, others]);
    expect((await api.user.create()).machine).toBeDefined();
  });

  test("that fail by their caller's fault cost ten, and those that are refused at once cost one", async () => {
    const poor = await world.api({ rates: { ...DEFAULT_RATES, create: few(25) } });
    world.images.fault = new Fault("NOT_FOUND", "IMAGE_NOT_FOUND", "no such image");
    const reasons: string[] = [];
    for (let i = 0; i < 4; i++) reasons.push((await faultOf(poor.user.create())).reason);
    world.images.fault = undefined;
    const stranger = await poor.as("umbrella", ["machines:write"]);
    for (let i = 0; i < 26; i++) reasons.push((await faultOf(stranger.create())).reason);
    stranger.close();

    const failed = ["IMAGE_NOT_FOUND", "IMAGE_NOT_FOUND", "IMAGE_NOT_FOUND", "RATE_LIMITED"];
    expect(reasons).toEqual([...failed, ...Array<string>(25).fill("APP_NOT_FOUND"), "RATE_LIMITED"]);
  });

  test("that fail give their room back", async () => {
    world.images.fault = new Fault("NOT_FOUND", "IMAGE_NOT_FOUND", "no such image");
    for (let i = 0; i < 4; i++) expect((await faultOf(api.user.create())).reason).toBe("IMAGE_NOT_FOUND");
    world.images.fault = undefined;

    expect((await api.user.create()).machine).toBeDefined();
  });
});

describe("a create that has ended", () => {
  const SIZE = "select status, request is null as empty, pg_column_size(sagas.*) as bytes from sagas";

  test("keeps the digest of its request, not the request", async () => {
    const env = Object.fromEntries(
      Array.from({ length: 50 }, (_, i) => [`V${i}`, crypto.randomUUID().repeat(28)]),
    );
    await api.user.create({ requestId: "done", config: { env } });
    world.images.fault = new Fault("NOT_FOUND", "IMAGE_NOT_FOUND", "no such image");
    await faultOf(api.user.create({ requestId: "failed", config: { env } }));
    world.images.fault = undefined;

    const rows = await world.sql<{ status: string; empty: boolean; bytes: number }>(
      `${SIZE} order by status`,
    );

    expect(rows.map(({ status, empty }) => [status, empty])).toEqual([
      ["done", true],
      ["failed", true],
    ]);
    expect(Math.max(...rows.map(({ bytes }) => bytes))).toBeLessThan(2_000);
    expect((await api.user.create({ requestId: "done", config: { env } })).repeated).toBe(true);
    expect((await faultOf(api.user.create({ requestId: "done" }))).reason).toBe("REQUEST_ID_REUSED");
    expect((await api.user.create({ requestId: "failed", config: { env } })).repeated).toBe(false);
  });

  test("leaves no steps that nobody can ask for, and goes soon without a request id", async () => {
    await api.user.create();
    await api.user.create({ requestId: "r" });
    expect(await world.sql("select distinct request_id from saga_steps join sagas on id = saga_id")).toEqual([
      { request_id: "r" },
    ]);

    await world.sql("update sagas set update_time = now() - interval '11 minutes'");
    await boundRows(api.database);

    expect(await world.sql("select request_id from sagas")).toEqual([{ request_id: "r" }]);
  });

  test("is one of a bounded number of its organisation", async () => {
    await world.sql(`insert into sagas (id, org, request_id, request_hash, status, state, traceparent, lease_time)
      select gen_random_uuid(), org, i::text, '', 'failed', '{}', '', now()
        from generate_series(1, 1500) i, unnest(array['personal', 'acme']) org where org = 'personal' or i <= 10`);
    await world.sql(`insert into machines (create_id, org, app, name, region, memory_mb, state)
      select gen_random_uuid(), 'personal', 'web', i::text, 'ord', 256, 'destroyed' from generate_series(1, 7000) i`);

    await boundRows(api.database);

    const count = "select org, count(*)::int as rows from sagas group by org order by org";
    expect(await world.sql(count)).toEqual([
      { org: "acme", rows: 10 },
      { org: "personal", rows: 1_000 },
    ]);
    expect(await world.sql("select count(*)::int as rows from machines")).toEqual([{ rows: 5_000 }]);
  });
});
