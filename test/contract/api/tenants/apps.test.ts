import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Standing } from "../../../../src/gen/windhover/admin/v1/organizations.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { ListMachinesRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { clients } from "../clients.ts";
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

describe("apps", () => {
  test("are created, read and counted", async () => {
    await api.user.createApp("web");
    await api.user.create();

    const { app } = await call(api.user.apps, api.user.apps.getApp, { name: "web" }, LIMIT);

    expect(app).toMatchObject({ name: "web", org: "personal", machineCount: 1 });
  });

  test("have the network that they asked for and the name of their organisation", async () => {
    const { apps } = api.user;
    const create = (name: string, network: string) =>
      call(apps, apps.createApp, { name, org: "", network, requestId: "" }, LIMIT);
    const { app } = await create("web", "lab");
    await api.user.createApp("api");

    const listed = await call(apps, apps.listApps, { pageSize: 0, pageToken: "" }, LIMIT);

    expect(app).toMatchObject({ network: "lab", orgName: "Personal" });
    expect(listed.apps.map(({ network, orgName }) => [network, orgName])).toEqual([
      ["", "Personal"],
      ["lab", "Personal"],
    ]);
    expect(await faultOf(create("odd", "a b"))).toMatchObject({ facts: { fields: "network" } });
  });

  test.each(["", "1web", "web-", "Web", "a".repeat(64)])("are not named %j", async (name) => {
    expect(await faultOf(api.user.createApp(name))).toMatchObject({
      reason: "INVALID_FIELDS",
      facts: { fields: "name" },
    });
  });

  test("share their names among all organisations", async () => {
    await api.user.createApp("web");
    await createOrg("other");
    const other = await api.as("other", ["machines:write", "machines:read"]);

    expect(await faultOf(other.createApp("web"))).toMatchObject({
      code: "ALREADY_EXISTS",
      reason: "APP_NAME_TAKEN",
    });
    const get = call(other.apps, other.apps.getApp, { name: "web" }, LIMIT);
    expect(await faultOf(get)).toMatchObject({ reason: "APP_NOT_FOUND" });
    other.close();
  });

  test("are created once by calls with one request id, which stands for nothing else", async () => {
    const { apps } = api.user;
    const create = async (name: string, requestId: string, network = "") =>
      (await call(apps, apps.createApp, { name, org: "", network, requestId }, LIMIT)).app;

    const created = await Promise.all([1, 2, 3].map(() => create("web", "first")));

    expect(new Set(created.map((app) => app?.createTime?.getTime())).size).toBe(1);
    const reused = { code: "INVALID_ARGUMENT", reason: "REQUEST_ID_REUSED" };
    expect(await faultOf(create("other", "first"))).toMatchObject(reused);
    expect(await faultOf(create("web", "first", "lab"))).toMatchObject(reused);
    expect(await faultOf(create("web", "second"))).toMatchObject({ reason: "APP_NAME_TAKEN" });
    expect(await faultOf(create("new", "a b"))).toMatchObject({ facts: { fields: "request_id" } });
    await createOrg("acme");
    const acme = await api.as("acme", ["machines:write", "machines:read"]);
    const theirs = { name: "theirs", org: "", network: "", requestId: "first" };
    expect((await call(acme.apps, acme.apps.createApp, theirs, LIMIT)).app?.org).toBe("acme");
    acme.close();
    await call(apps, apps.deleteApp, { name: "web", force: false }, LIMIT);
    expect((await create("web", "first"))?.name).toBe("web");
  });

  test("of another organisation are created by operators only", async () => {
    await createOrg("other");

    expect(await faultOf(api.user.createApp("theirs", "other"))).toMatchObject({ reason: "SCOPE_MISSING" });
    expect((await api.admin.createApp("theirs", "other")).app?.org).toBe("other");
    expect(await faultOf(api.admin.createApp("more", "nobody"))).toMatchObject({ reason: "ORG_NOT_FOUND" });
  });

  test("are not created by a banned organisation", async () => {
    await createOrg("rogue");
    const { orgs } = api.admin;
    const update = { slug: "rogue", standing: Standing.BANNED, quota: undefined, limits: undefined };
    await call(orgs, orgs.updateOrganization, update, LIMIT);

    expect(await faultOf(api.admin.createApp("bad", "rogue"))).toMatchObject({ reason: "ORG_BANNED" });
  });

  test("are listed by name, page by page", async () => {
    for (const name of ["c", "a", "b"]) await api.user.createApp(name);
    const list = (pageSize: number, pageToken: string) =>
      call(api.user.apps, api.user.apps.listApps, { pageSize, pageToken }, LIMIT);

    const first = await list(2, "");
    const second = await list(2, first.nextPageToken);

    expect(first.apps.map((app) => app.name)).toEqual(["a", "b"]);
    expect(second.apps.map((app) => app.name)).toEqual(["c"]);
    expect(second.nextPageToken).toBe("");
    expect(await faultOf(list(2, "nonsense"))).toMatchObject({ reason: "INVALID_FIELDS" });
    expect(await faultOf(list(-1, ""))).toMatchObject({ reason: "INVALID_FIELDS" });
  });
});

describe("deleting an app", () => {
  const remove = (name: string, force: boolean) =>
    call(api.user.apps, api.user.apps.deleteApp, { name, force }, LIMIT);

  test("takes its machines along when forced, and only then", async () => {
    await api.user.createApp("web");
    await api.user.create();
    await api.user.create({ skipLaunch: false });

    expect(await faultOf(remove("web", false))).toMatchObject({
      reason: "APP_NOT_EMPTY",
      facts: { machines: "2" },
    });
    expect((await remove("web", true)).machinesDestroyed).toBe(2);

    expect(world.onHosts).toEqual([]);
    expect(await faultOf(remove("web", true))).toMatchObject({ reason: "APP_NOT_FOUND" });
  });

  test("fails when a machine's host does not answer, and has destroyed the others", async () => {
    const third = await world.addHost(3);
    await api.announce(third);
    await api.user.createApp("web");
    await api.user.create();
    world.scheduler.hosts.reverse();
    await api.user.create();
    world.scheduler.hosts.reverse();
    await third.stop();

    const fault = await faultOf(remove("web", true));

    expect(fault).toMatchObject({
      code: "UNAVAILABLE",
      reason: "HOST_UNREACHABLE",
      facts: { destroyed: "1", left: "1" },
    });
    expect(world.host(1).machines.size).toBe(0);
    world.scheduler.hosts.splice(world.scheduler.hosts.indexOf(third), 1);
  });

  test("waits for creates under way to be placed", async () => {
    await api.user.createApp("web");
    const entered = Promise.withResolvers<void>();
    const leave = Promise.withResolvers<void>();
    world.scheduler.before("reserve", async () => {
      entered.resolve();
      await leave.promise;
    });
    const creating = api.user.create();
    await entered.promise;

    expect(await faultOf(remove("web", true))).toMatchObject({ reason: "APP_NOT_EMPTY" });

    leave.resolve();
    await creating;
  });

  test("says of a machine whose host is being asked that it is being created", async () => {
    await api.user.createApp("web");
    const entered = Promise.withResolvers<void>();
    const leave = Promise.withResolvers<void>();
    world.host(1).before("createMachine", async () => {
      entered.resolve();
      await leave.promise;
    });
    const creating = api.user.create();
    await entered.promise;

    expect(await faultOf(remove("web", true))).toMatchObject({
      reason: "APP_NOT_EMPTY",
      message: expect.stringContaining("being created"),
    });

    leave.resolve();
    await creating;
    expect((await remove("web", true)).machinesDestroyed).toBe(1);
  });
});

describe("listing machines", () => {
  const list = (request: Partial<ListMachinesRequest> = {}) =>
    call(api.user.machines, api.user.machines.listMachines, ListMachinesRequest.fromPartial(request), LIMIT);

  test("gives them oldest first, page by page, with their newest event", async () => {
    await api.user.createApp("web");
    for (const name of ["m1", "m2", "m3"]) await api.user.create({ name, skipLaunch: name !== "m1" });

    const first = await list({ pageSize: 2 });
    const second = await list({ pageSize: 2, pageToken: first.nextPageToken });

    expect([...first.machines, ...second.machines].map((machine) => machine.name)).toEqual([
      "m1",
      "m2",
      "m3",
    ]);
    expect(second.nextPageToken).toBe("");
    await expect.poll(async () => (await list()).machines[0]?.events.length).toBe(0);
  });

  test("is filtered by app and state, and a page's token is good for its own list only", async () => {
    await api.user.createApp("web");
    await api.user.createApp("empty");
    await api.user.create({ name: "off" });
    await api.user.create({ name: "on", skipLaunch: false });
    await api.user.create({ name: "on-too", skipLaunch: false });
    const started = ListMachinesRequest.fromPartial({
      app: "web",
      states: [MachineState.STARTED],
      pageSize: 1,
    });

    const page = await list(started);

    expect(page.machines.map((machine) => machine.name)).toEqual(["on"]);
    expect((await list({ app: "empty" })).machines).toEqual([]);
    const elsewhere = { app: "empty", pageToken: page.nextPageToken };
    expect(await faultOf(list(elsewhere))).toMatchObject({
      reason: "INVALID_FIELDS",
      facts: { fields: "page_token" },
    });
    expect(await faultOf(list({ states: [99 as MachineState] }))).toMatchObject({
      reason: "INVALID_FIELDS",
    });
    expect(await faultOf(list({ app: "nobodys" }))).toMatchObject({
      reason: "APP_NOT_FOUND",
    });
  });

  test("leaves destroyed machines out unless they are asked for", async () => {
    await api.user.createApp("web");
    const { machine } = await api.user.create();
    await world.sql(
      "update machines set state = 'destroyed', snapshot = snapshot || '{\"state\":\"destroyed\"}'",
    );

    expect((await list()).machines).toEqual([]);
    const destroyed = await list({ states: [MachineState.DESTROYED] });
    expect(destroyed.machines.map((each) => each.id)).toEqual([machine?.id]);
  });
});

test("without a token, or with a wrong one, nobody is served", async () => {
  const anonymous = await clients(api.address, undefined);
  const forger = await clients(api.address, "not.a.token");

  expect(await faultOf(anonymous.createApp("web"))).toMatchObject({
    code: "UNAUTHENTICATED",
    reason: "TOKEN_MISSING",
  });
  expect(await faultOf(forger.createApp("web"))).toMatchObject({
    code: "UNAUTHENTICATED",
    reason: "TOKEN_INVALID",
  });
  anonymous.close();
  forger.close();
});

async function createOrg(slug: string): Promise<void> {
  const request = { slug, name: "", quota: undefined, limits: undefined };
  await call(api.admin.orgs, api.admin.orgs.createOrganization, request, LIMIT);
}
